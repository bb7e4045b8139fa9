#include "data/arrays/zip_member.hpp"

#include <algorithm>
#include <array>
#include <zlib.h>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace starling::data {

namespace {

constexpr std::uint32_t kLocalMagic = 0x04034b50;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kPieceBytes = std::size_t{1} << 16U;
/// zlib's largest window; negative: deflate without a header around it.
constexpr int kRawWindow = -15;

class MemberStream final : public ByteStream {
public:
    MemberStream(const RandomBytes& bytes, ZipMember member, std::uint64_t start)
        : bytes_(bytes),
          member_(std::move(member)),
          at_(start),
          packed_left_(member_.packed_bytes),
          left_(member_.bytes) {
        if (member_.deflated) STARLING_CHECK(inflateInit2(&stream_, kRawWindow) == Z_OK);
    }

    ~MemberStream() override {
        if (member_.deflated) inflateEnd(&stream_);
    }

    MemberStream(const MemberStream&) = delete;
    MemberStream& operator=(const MemberStream&) = delete;

    [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out) override {
        out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), left_)));
        std::size_t done = 0;
        while (done < out.size()) {
            const auto rest = out.subspan(done, std::min(out.size() - done, kPieceBytes));
            const auto got = member_.deflated ? inflate_into(rest) : copy_into(rest);
            if (!got) return got.error();
            done += *got;
        }
        left_ -= done;
        if (left_ == 0 && !checked_) {
            if (auto ended = check_end(); !ended) return ended.error();
        }
        return done;
    }

    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const override {
        return bytes_.bad(code, "the array '" + member_.name + "': " + what);
    }

private:
    [[nodiscard]] Result<std::size_t> copy_into(std::span<std::uint8_t> out) {
        if (auto got = bytes_.read_at(at_, out); !got) return got.error();
        at_ += out.size();
        count(out);
        return out.size();
    }

    [[nodiscard]] Result<std::size_t> inflate_into(std::span<std::uint8_t> out) {
        if (stream_.avail_in == 0 && packed_left_ > 0) {
            if (auto got = fill(); !got) return got.error();
        }
        stream_.next_out = out.data();
        stream_.avail_out = static_cast<unsigned>(out.size());
        const int state = inflate(&stream_, Z_NO_FLUSH);
        const auto got = out.size() - stream_.avail_out;
        ended_ = state == Z_STREAM_END;
        if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
            return bad(FaultCode::Corrupt, "the deflated bytes are damaged; fetch the file again");
        }
        const bool starved = stream_.avail_in == 0 && packed_left_ == 0;
        if (got == 0 && (ended_ || starved)) {
            return bad(FaultCode::Corrupt, "it is shorter than the zip's directory says");
        }
        count(out.first(got));
        return got;
    }

    [[nodiscard]] Result<void> fill() {
        const auto size =
            static_cast<std::size_t>(std::min<std::uint64_t>(packed_left_, buffer_.size()));
        if (auto got = bytes_.read_at(at_, std::span(buffer_).first(size)); !got) return got;
        at_ += size;
        packed_left_ -= size;
        stream_.next_in = buffer_.data();
        stream_.avail_in = static_cast<unsigned>(size);
        return {};
    }

    void count(std::span<const std::uint8_t> bytes) {
        checksum_ = crc32(checksum_, bytes.data(), static_cast<unsigned>(bytes.size()));
    }

    /// All promised bytes have been given: nothing more may come, and the checksum must be right.
    [[nodiscard]] Result<void> check_end() {
        checked_ = true;
        std::uint8_t beyond = 0;
        while (member_.deflated && !ended_) {
            if (stream_.avail_in == 0 && packed_left_ > 0) {
                if (auto got = fill(); !got) return got;
            }
            stream_.next_out = &beyond;
            stream_.avail_out = 1;
            const bool input = stream_.avail_in > 0;
            const int state = inflate(&stream_, Z_NO_FLUSH);
            if (stream_.avail_out == 0) {
                return bad(FaultCode::Corrupt, "it is longer than the zip's directory says");
            }
            ended_ = state == Z_STREAM_END;
            if (!ended_ && (state != Z_OK || !input)) {
                return bad(FaultCode::Corrupt, "the deflated bytes do not end where they should");
            }
        }
        if (checksum_ == member_.checksum) return {};
        return bad(FaultCode::Corrupt, "its checksum is wrong; fetch the file again");
    }

    const RandomBytes& bytes_;
    ZipMember member_;
    std::uint64_t at_;
    std::uint64_t packed_left_;
    std::uint64_t left_;
    std::array<std::uint8_t, kPieceBytes> buffer_{};
    z_stream stream_{};
    uLong checksum_ = crc32(0, nullptr, 0);
    bool ended_ = false;
    bool checked_ = false;
};

}  // namespace

Result<std::unique_ptr<ByteStream>> open_zip_member(
    const RandomBytes& bytes, const ZipMember& member
) {
    std::array<std::uint8_t, kLocalBytes> raw{};
    if (auto read = bytes.read_at(member.offset, raw); !read) return read.error();
    ByteReader in(std::as_bytes(std::span(raw)));
    const auto magic = in.take<std::uint32_t>();
    in.take_bytes(22);
    const auto name_bytes = in.take<std::uint16_t>();
    const auto extra_bytes = in.take<std::uint16_t>();
    // read_at() has found kLocalBytes behind the offset, so this sum is small beside 2^64.
    const auto start = member.offset + kLocalBytes + name_bytes + extra_bytes;
    if (magic != kLocalMagic) {
        return bytes.bad(FaultCode::BadFormat, "no member begins where the zip's directory says");
    }
    if (start > bytes.size() || member.packed_bytes > bytes.size() - start) {
        return bytes.bad(FaultCode::Truncated, "the member '" + member.name + "' is cut off");
    }
    return std::unique_ptr<ByteStream>(std::make_unique<MemberStream>(bytes, member, start));
}

}  // namespace starling::data
