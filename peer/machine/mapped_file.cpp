#include "peer/machine/mapped_file.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "peer/machine/disk.hpp"

namespace starling::peer {

namespace {

/// Of this process.
std::atomic<std::size_t>& mappings() {
    static std::atomic<std::size_t> count{0};
    return count;
}

Fault system_fault(const std::string& what, int error) {
    const bool full = error == ENOSPC || error == EDQUOT;
    return fail(
        full ? kDiskFull : FaultCode::Io, what + ": " + std::generic_category().message(error)
    );
}

/// Closes a descriptor at the end of a scope. What was written needs no flush: the file is gone with us.
struct Closing {
    explicit Closing(int number) : descriptor(number) {}

    Closing(const Closing&) = delete;
    Closing& operator=(const Closing&) = delete;

    ~Closing() { ::close(descriptor); }

    int descriptor;
};

/// One mapping, which ends with this object.
class Mapping {
public:
    Mapping(void* begin, std::size_t size) : begin_(begin), size_(size) { ++mappings(); }

    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    ~Mapping() {
        ::munmap(begin_, size_);
        --mappings();
    }

private:
    void* begin_;
    std::size_t size_;
};

Result<SharedBytes> read_instead(int descriptor, std::size_t size) {
    Bytes bytes(size);
    std::size_t got = 0;
    while (got < size) {
        const auto more =
            ::pread(descriptor, bytes.data() + got, size - got, static_cast<off_t>(got));
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return system_fault("cannot be read", errno);
        if (more == 0) return fail(FaultCode::Truncated, "it ends too early");
        got += static_cast<std::size_t>(more);
    }
    auto shared = share(std::move(bytes));
    shared.mapped = true;  // it lies in a file, and nobody need write it again
    return shared;
}

}  // namespace

Result<SharedBytes> map_file(int descriptor, std::uint64_t limit) {
    struct stat status {};

    if (::fstat(descriptor, &status) != 0) return system_fault("cannot be examined", errno);
    if (!S_ISREG(status.st_mode)) return fail(FaultCode::Io, "not a regular file");
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (size > limit) {
        return fail(
            FaultCode::Oversized,
            std::to_string(size) + " bytes, more than the limit of " + std::to_string(limit)
        );
    }
    const auto length = static_cast<std::size_t>(size);
    if (length == 0 || mappings() >= kMappingsMax) return read_instead(descriptor, length);
    void* begin = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, descriptor, 0);
    if (begin == MAP_FAILED) return read_instead(descriptor, length);
    auto owner = std::make_shared<const Mapping>(begin, length);
    return SharedBytes{{static_cast<const std::byte*>(begin), length}, std::move(owner), true};
}

Result<SharedBytes> map_unnamed(ByteView bytes) {
    std::error_code error;
    const auto directory = std::filesystem::temp_directory_path(error);
    std::string name = (error ? std::filesystem::path("/tmp") : directory) / "starling-XXXXXX";
    const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
    if (descriptor < 0) return system_fault(name + ": cannot be made", errno);
    const Closing closing(descriptor);
    ::unlink(name.c_str());
    while (!bytes.empty()) {
        const auto put = ::write(descriptor, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return system_fault(directory.string() + ": no temporary file", errno);
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return map_file(descriptor, ~std::uint64_t{0});
}

}  // namespace starling::peer
