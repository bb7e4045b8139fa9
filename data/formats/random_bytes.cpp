#include "data/formats/random_bytes.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "data/reading.hpp"

namespace starling::data {

namespace {

std::string reason(int error) {
    return std::generic_category().message(error);
}

}  // namespace

Result<std::unique_ptr<FileBytes>> FileBytes::open(const std::filesystem::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) {
        const int error = errno;
        return fail(
            error == ENOENT ? FaultCode::NotFound : FaultCode::Io,
            path.string() + ": cannot be opened: " + reason(error)
        );
    }
    std::unique_ptr<FileBytes> bytes(new FileBytes(file, 0, path.string()));

    struct stat facts {};

    if (::fstat(file, &facts) != 0) {
        return bytes->bad(FaultCode::Io, "cannot be examined: " + reason(errno));
    }
    if (!S_ISREG(facts.st_mode)) {
        return bytes->bad(FaultCode::Usage, "is not a regular file; give a file");
    }
    bytes->size_ = static_cast<std::uint64_t>(facts.st_size);
    return bytes;
}

FileBytes::~FileBytes() {
    ::close(file_);
}

Result<void> FileBytes::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
    if (offset > size_ || out.size() > size_ - offset) {
        return bad(FaultCode::Truncated, "it ends too early");
    }
    while (!out.empty()) {
        const auto got = ::pread(file_, out.data(), out.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return bad(FaultCode::Io, "cannot be read: " + reason(errno));
        if (got == 0) return bad(FaultCode::Truncated, "it has become shorter while it was read");
        const auto more = static_cast<std::uint64_t>(got);
        offset += more;
        if (auto ok = Reading::advance(name_, more, offset, size_); !ok) return ok;
        out = out.subspan(static_cast<std::size_t>(got));
    }
    return {};
}

}  // namespace starling::data
