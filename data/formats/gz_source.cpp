#include "data/formats/gz_source.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <zlib.h>

namespace starling::data {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20U;

gzFile handle(void* file) {
    return static_cast<gzFile>(file);
}

}  // namespace

void GzSource::Close::operator()(void* file) const {
    gzclose_r(handle(file));
}

Result<GzSource> GzSource::open(const std::filesystem::path& path) {
    errno = 0;
    gzFile file = gzopen(path.c_str(), "rb");
    if (file == nullptr) {
        const int error = errno;
        return fail(
            error == ENOENT ? FaultCode::NotFound : FaultCode::Io,
            path.string() + ": cannot be opened: " + std::generic_category().message(error)
        );
    }
    gzbuffer(file, 1U << 17U);
    return GzSource(file, path.string());
}

Result<std::size_t> GzSource::read(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        const auto want = static_cast<unsigned>(std::min(out.size() - done, kPieceBytes));
        const int got = gzread(handle(file_.get()), out.data() + done, want);
        if (got < 0) return fault();
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    // A short read of a gzip stream that was cut off sets this code without returning -1.
    int error = Z_OK;
    gzerror(handle(file_.get()), &error);
    if (error != Z_OK && error != Z_STREAM_END) return fault();
    return done;
}

Fault GzSource::fault() const {
    int error = Z_OK;
    gzerror(handle(file_.get()), &error);
    if (error == Z_BUF_ERROR) {
        return bad(FaultCode::Truncated, "the gzip stream ends too early; fetch the file again");
    }
    if (error == Z_ERRNO) {
        return bad(FaultCode::Io, "cannot be read: " + std::generic_category().message(errno));
    }
    return bad(FaultCode::Corrupt, "the gzip stream is damaged; fetch the file again");
}

}  // namespace starling::data
