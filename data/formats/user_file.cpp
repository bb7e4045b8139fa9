#include "data/formats/user_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <system_error>

namespace starling::data {

FileState state_of(const struct stat& facts) {
    // A damaged file system may give any number.
    const auto seconds = static_cast<std::uint64_t>(facts.st_mtim.tv_sec);
    const auto rest = static_cast<std::uint64_t>(facts.st_mtim.tv_nsec);
    return {
        static_cast<std::uint64_t>(facts.st_size),
        static_cast<std::int64_t>(seconds * 1'000'000'000U + rest)};
}

Result<FileState> state_of_file(const std::string& path) {
    struct stat facts {};

    if (::stat(path.c_str(), &facts) != 0) return system_fault(path, "cannot be read");
    return state_of(facts);
}

Fault system_fault(const std::string& path, const char* what) {
    const int number = errno;
    return fail(
        number == ENOENT ? FaultCode::NotFound : FaultCode::Io,
        path + ": " + what + ": " + std::generic_category().message(number)
    );
}

Result<UserFile> UserFile::open(std::string path) {
    Descriptor fresh(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fresh.open()) return system_fault(path, "cannot be opened");
    return UserFile(std::move(fresh), std::move(path));
}

Result<void> UserFile::check(const FileState& scanned) const {
    struct stat now {};

    if (::fstat(descriptor_.number(), &now) != 0) return system_fault(path_, "cannot be read");
    if (state_of(now) == scanned) return {};
    return fail(FaultCode::Corrupt, path_ + ": it has changed since it was scanned");
}

Result<void> UserFile::read(std::uint64_t offset, std::size_t length, Bytes& out) const {
    return read_piece(descriptor_, path_, offset, length, out);
}

Result<void> read_piece(
    const Descriptor& file,
    const std::string& name,
    std::uint64_t offset,
    std::size_t length,
    Bytes& out
) {
    const std::size_t before = out.size();
    out.resize(before + length);
    std::size_t done = 0;
    while (done < length) {
        const auto got = ::pread(
            file.number(),
            out.data() + before + done,
            length - done,
            static_cast<off_t>(offset + done)
        );
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            out.resize(before);
            if (got < 0) return system_fault(name, "cannot be read");
            return fail(FaultCode::Corrupt, name + ": it has become shorter");
        }
        done += static_cast<std::size_t>(got);
    }
    return {};
}

}  // namespace starling::data
