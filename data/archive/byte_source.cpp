#include "data/archive/byte_source.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>
#include <zlib.h>

#include "base/check.hpp"
#include "data/reading.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16U;
/// zlib's largest window, and 16 for the header and the checksum of gzip.
constexpr int kGzipWindow = 15 + 16;

std::string reason(int error) {
    return std::generic_category().message(error);
}

}  // namespace

struct ByteSource::State {
    int file = -1;  ///< or none: `bytes`
    ByteView bytes;
    std::uint64_t size = 0;
    std::uint64_t next = 0;  ///< of the file's bytes, the next that is read into `buffer` or out
    // Of gzipped sources:
    bool gzipped = false;
    bool in_stream = false;
    z_stream stream{};
    std::vector<std::byte> buffer;
    std::size_t begin = 0;  ///< buffer[begin, end) is read and not unpacked yet
    std::size_t end = 0;
};

void ByteSource::Close::operator()(State* state) const {
    if (state->gzipped) inflateEnd(&state->stream);
    if (state->file >= 0) ::close(state->file);
    delete state;
}

Result<ByteSource> ByteSource::open(const std::filesystem::path& path) {
    std::unique_ptr<State, Close> state(new State);
    state->file = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (state->file < 0) {
        const int error = errno;
        const auto code = error == ENOENT ? FaultCode::NotFound : FaultCode::Io;
        return fail(code, "cannot be opened: " + reason(error));
    }

    struct stat facts {};

    if (::fstat(state->file, &facts) != 0) {
        return fail(FaultCode::Io, "cannot be examined: " + reason(errno));
    }
    if (!S_ISREG(facts.st_mode)) {
        return fail(
            FaultCode::Usage,
            S_ISDIR(facts.st_mode) ? "is a directory; give a file"
                                   : "is a pipe or a device; copy what it gives into a file"
        );
    }
    state->size = static_cast<std::uint64_t>(facts.st_size);
    ByteSource source(std::move(state));
    const auto gzipped = source.gzip_begins();
    if (!gzipped) return gzipped.error();
    return source;
}

ByteSource ByteSource::over(ByteView bytes) {
    std::unique_ptr<State, Close> state(new State);
    state->bytes = bytes;
    state->size = bytes.size();
    ByteSource source(std::move(state));
    const auto gzipped = source.gzip_begins();
    STARLING_CHECK(gzipped.has_value());  // a span has no read errors
    return source;
}

std::uint64_t ByteSource::size() const {
    return state_->size;
}

std::uint64_t ByteSource::position() const {
    return state_->next - (state_->end - state_->begin);
}

bool ByteSource::gzipped() const {
    return state_->gzipped;
}

void ByteSource::seek(std::uint64_t position) {
    STARLING_CHECK(!state_->gzipped);
    state_->next = position;
}

Result<bool> ByteSource::gzip_begins() {
    auto& s = *state_;
    std::array<std::byte, 2> magic{};
    const auto got = read_stored(magic);
    if (!got) return got.error();
    s.next = 0;
    if (*got < 2 || magic[0] != std::byte{0x1f} || magic[1] != std::byte{0x8b}) return false;
    STARLING_CHECK(inflateInit2(&s.stream, kGzipWindow) == Z_OK);
    s.gzipped = s.in_stream = true;
    s.buffer.resize(kBufferBytes);
    return true;
}

/// Reads the file's own bytes.
Result<std::size_t> ByteSource::read_stored(std::span<std::byte> out) {
    auto& s = *state_;
    if (s.file < 0) {
        const auto at = static_cast<std::size_t>(std::min<std::uint64_t>(s.next, s.bytes.size()));
        const auto count = std::min(out.size(), s.bytes.size() - at);
        std::copy_n(s.bytes.begin() + static_cast<std::ptrdiff_t>(at), count, out.begin());
        s.next += count;
        return count;
    }
    std::size_t done = 0;
    while (done < out.size()) {
        const auto got =
            ::pread(s.file, out.data() + done, out.size() - done, static_cast<off_t>(s.next));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(FaultCode::Io, "cannot be read: " + reason(errno));
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
        s.next += static_cast<std::uint64_t>(got);
    }
    // The archive's reader knows how far it is and tells it; here the reading may be ended.
    if (auto ok = Reading::advance({}, 0, 0, 0); !ok) return ok.error();
    return done;
}

/// Fills the buffer behind the bytes that are not unpacked yet. Returns whether it holds any.
Result<bool> ByteSource::fill() {
    auto& s = *state_;
    std::copy(
        s.buffer.begin() + static_cast<std::ptrdiff_t>(s.begin),
        s.buffer.begin() + static_cast<std::ptrdiff_t>(s.end),
        s.buffer.begin()
    );
    s.end -= s.begin;
    s.begin = 0;
    const auto got = read_stored(std::span(s.buffer).subspan(s.end));
    if (!got) return got.error();
    s.end += *got;
    return s.end > 0;
}

Result<std::size_t> ByteSource::read(std::span<std::byte> out) {
    auto& s = *state_;
    if (!s.gzipped) return read_stored(out);
    std::size_t done = 0;
    while (done < out.size()) {
        if (!s.in_stream) {
            const auto more = fill();
            if (!more) return more.error();
            // Another gzip stream may follow; what is none is no part of the archive.
            if (s.end < 2 || s.buffer[0] != std::byte{0x1f} || s.buffer[1] != std::byte{0x8b})
                break;
            STARLING_CHECK(inflateReset(&s.stream) == Z_OK);
            s.in_stream = true;
        }
        const auto got = unpack(out.subspan(done));
        if (!got) return got;
        done += *got;
    }
    return done;
}

Result<std::size_t> ByteSource::unpack(std::span<std::byte> out) {
    auto& s = *state_;
    if (s.begin == s.end) {
        const auto more = fill();
        if (!more) return more.error();
        if (!*more) {
            return fail(
                FaultCode::Truncated,
                "the gzip stream ends at byte " + std::to_string(s.next) +
                    ", too early; fetch the file again"
            );
        }
    }
    const auto room = std::min(out.size(), std::size_t{1} << 30U);
    s.stream.next_in = reinterpret_cast<Bytef*>(s.buffer.data() + s.begin);
    s.stream.avail_in = static_cast<uInt>(s.end - s.begin);
    s.stream.next_out = reinterpret_cast<Bytef*>(out.data());
    s.stream.avail_out = static_cast<uInt>(room);
    const int state = inflate(&s.stream, Z_NO_FLUSH);
    s.begin = s.end - s.stream.avail_in;
    if (state == Z_STREAM_END) s.in_stream = false;
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
        return fail(
            FaultCode::Corrupt,
            "the gzip stream is damaged before byte " + std::to_string(position()) +
                "; fetch the file again"
        );
    }
    return room - s.stream.avail_out;
}

}  // namespace starling::data
