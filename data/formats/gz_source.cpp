#include "data/formats/gz_source.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <zlib.h>

#include "base/check.hpp"
#include "data/reading.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 17U;
constexpr std::array<std::uint8_t, 2> kMagic{0x1f, 0x8b};
/// zlib's largest window, and 16 for the header and the checksum of gzip.
constexpr int kGzipWindow = 15 + 16;

std::string reason(int error) {
    return std::generic_category().message(error);
}

}  // namespace

struct GzSource::Reader {
    int file = -1;
    std::array<std::uint8_t, kBufferBytes> buffer{};
    std::size_t begin = 0;  ///< buffer[begin, end) is read from the file and not used yet
    std::size_t end = 0;
    std::uint64_t size = 0;  ///< of the file
    std::uint64_t done = 0;  ///< bytes of the file that were read
    bool at_end = false;     ///< of the file
    bool gzipped = false;
    bool in_stream = false;
    bool inflating = false;  ///< `stream` is to be freed
    z_stream stream{};

    [[nodiscard]] std::size_t left() const { return end - begin; }
};

void GzSource::Close::operator()(Reader* reader) const {
    if (reader->inflating) inflateEnd(&reader->stream);
    if (reader->file >= 0) ::close(reader->file);
    delete reader;
}

Result<GzSource> GzSource::open(const std::filesystem::path& path) {
    std::unique_ptr<Reader, Close> reader(new Reader);
    reader->file = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (reader->file < 0) {
        const int error = errno;
        return fail(
            error == ENOENT ? FaultCode::NotFound : FaultCode::Io,
            path.string() + ": cannot be opened: " + reason(error)
        );
    }

    struct stat facts {};

    if (::fstat(reader->file, &facts) != 0) {
        return fail(FaultCode::Io, path.string() + ": cannot be examined: " + reason(errno));
    }
    if (!S_ISREG(facts.st_mode)) {
        return fail(
            FaultCode::Usage,
            path.string() + (S_ISDIR(facts.st_mode)
                                 ? ": is a directory; give a file"
                                 : ": is a pipe or a device; copy what it gives into a file")
        );
    }
    reader->size = static_cast<std::uint64_t>(facts.st_size);
    GzSource source(std::move(reader), path.string());
    const auto begins = source.begins_stream();
    if (!begins) return begins.error();
    source.reader_->gzipped = *begins;
    if (*begins) {
        STARLING_CHECK(inflateInit2(&source.reader_->stream, kGzipWindow) == Z_OK);
        source.reader_->inflating = source.reader_->in_stream = true;
    }
    return source;
}

/// Reads more of the file behind the bytes that are not used yet.
Result<void> GzSource::fill() {
    auto& r = *reader_;
    std::copy(
        r.buffer.begin() + static_cast<std::ptrdiff_t>(r.begin),
        r.buffer.begin() + static_cast<std::ptrdiff_t>(r.end),
        r.buffer.begin()
    );
    r.end = r.left();
    r.begin = 0;
    while (!r.at_end && r.end < r.buffer.size()) {
        const auto got = ::read(r.file, r.buffer.data() + r.end, r.buffer.size() - r.end);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return bad(FaultCode::Io, "cannot be read: " + reason(errno));
        r.at_end = got == 0;
        const auto more = static_cast<std::size_t>(got);
        r.end += more;
        r.done += more;
        if (auto ok = Reading::advance(name_, more, r.done, r.size); !ok) return ok;
    }
    return {};
}

Result<bool> GzSource::begins_stream() {
    auto& r = *reader_;
    if (r.left() < kMagic.size()) {
        if (auto ok = fill(); !ok) return ok.error();
    }
    return r.left() >= kMagic.size() &&
           std::equal(kMagic.begin(), kMagic.end(), r.buffer.data() + r.begin);
}

Result<std::size_t> GzSource::read(std::span<std::uint8_t> out) {
    auto& r = *reader_;
    std::size_t done = 0;
    while (done < out.size()) {
        if (r.left() == 0) {
            if (auto ok = fill(); !ok) return ok.error();
        }
        auto rest = out.subspan(done);
        if (!r.gzipped) {
            const auto count = std::min(rest.size(), r.left());
            if (count == 0) break;
            std::copy_n(r.buffer.data() + r.begin, count, rest.data());
            r.begin += count;
            done += count;
        } else if (r.in_stream) {
            const auto count = unpack(rest);
            if (!count) return count;
            done += *count;
        } else {
            while (r.left() > 0 && r.buffer[r.begin] == 0) ++r.begin;
            if (r.left() == 0 && r.at_end) break;
            if (r.left() == 0) continue;
            const auto another = begins_stream();
            if (!another) return another.error();
            if (!*another) {
                leave_out_rest();
                break;
            }
            STARLING_CHECK(inflateReset(&r.stream) == Z_OK);
            r.in_stream = true;
        }
    }
    return done;
}

/// What follows the last gzip stream is no part of the content, as for gzip itself, which warns, too.
void GzSource::leave_out_rest() {
    auto& r = *reader_;
    Reading::note(
        name_ + ": what follows its gzip stream, from byte " + std::to_string(r.done - r.left()) +
        " on, is left out"
    );
    r.begin = r.end;
    r.at_end = true;
}

/// Unpacks what the buffer holds, as far as it fits, and returns the number of bytes.
Result<std::size_t> GzSource::unpack(std::span<std::uint8_t> out) {
    auto& r = *reader_;
    if (r.left() == 0) {
        return bad(FaultCode::Truncated, "the gzip stream ends too early; fetch the file again");
    }
    const auto room = std::min<std::size_t>(out.size(), std::size_t{1} << 30U);
    r.stream.next_in = r.buffer.data() + r.begin;
    r.stream.avail_in = static_cast<unsigned>(r.left());
    r.stream.next_out = out.data();
    r.stream.avail_out = static_cast<unsigned>(room);
    const int state = inflate(&r.stream, Z_NO_FLUSH);
    r.begin = r.end - r.stream.avail_in;
    if (state == Z_STREAM_END) r.in_stream = false;
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
        return bad(FaultCode::Corrupt, "the gzip stream is damaged; fetch the file again");
    }
    return room - r.stream.avail_out;
}

}  // namespace starling::data
