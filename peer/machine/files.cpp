#include "peer/machine/files.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "base/check.hpp"

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

Fault io_fault(const fs::path& path, const std::string& what, int error) {
    return fail(
        error == ENOENT ? FaultCode::NotFound : FaultCode::Io,
        path.string() + ": " + what + ": " + std::generic_category().message(error)
    );
}

FileHandle open_file(const fs::path& path, int flags, unsigned mode = 0) {
    int descriptor = -1;
    do {
        descriptor = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (descriptor < 0 && errno == EINTR);
    return FileHandle(descriptor);
}

/// Flushes the directory of a file: a rename is on the disk only when the directory is.
Result<void> sync_directory_of(const fs::path& path) {
    const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
    const FileHandle directory = open_file(parent, O_RDONLY | O_DIRECTORY);
    if (!directory.is_open() || ::fsync(directory.get()) != 0) {
        return io_fault(parent, "cannot be flushed to the disk", errno);
    }
    return {};
}

}  // namespace

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

FileHandle::~FileHandle() {
    // Callers flush what must reach the disk before this, so an error of close() loses nothing.
    if (descriptor_ >= 0) ::close(descriptor_);
}

int FileHandle::release() {
    return std::exchange(descriptor_, -1);
}

Result<FileReader> FileReader::open(const fs::path& path, std::uint64_t limit) {
    // O_NONBLOCK, because opening a named pipe would otherwise wait for a writer for ever.
    FileHandle file = open_file(path, O_RDONLY | O_NONBLOCK);
    if (!file.is_open()) return io_fault(path, "cannot be opened", errno);

    struct stat status {};

    if (::fstat(file.get(), &status) != 0) return io_fault(path, "cannot be examined", errno);
    if (!S_ISREG(status.st_mode)) {
        return fail(FaultCode::Io, path.string() + ": not a regular file");
    }
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (size > limit) {
        return fail(
            FaultCode::Oversized,
            path.string() + ": " + std::to_string(size) + " bytes, more than the limit of " +
                std::to_string(limit)
        );
    }
    return FileReader(std::move(file), size, path);
}

Result<void> FileReader::read(std::span<std::byte> out) {
    while (!out.empty()) {
        const auto got = ::read(file_.get(), out.data(), out.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io_fault(path_, "cannot be read", errno);
        if (got == 0) return fail(FaultCode::Truncated, path_.string() + ": it ends too early");
        out = out.subspan(static_cast<std::size_t>(got));
    }
    return {};
}

Result<AtomicFile> AtomicFile::create(const fs::path& path, unsigned mode) {
    fs::path temporary = path;
    temporary += ".tmp";
    // A file left by a crash may have other permissions. O_EXCL also refuses to follow a link that
    // somebody planted.
    ::unlink(temporary.c_str());
    FileHandle file = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (!file.is_open()) {
        const int error = errno;
        return fail(
            FaultCode::Io,
            temporary.string() + ": cannot be made: " + std::generic_category().message(error)
        );
    }
    return AtomicFile(std::move(file), path, std::move(temporary));
}

AtomicFile::~AtomicFile() {
    if (file_.is_open()) ::unlink(temporary_.c_str());
}

Result<void> AtomicFile::append(ByteView bytes) {
    STARLING_CHECK(file_.is_open());
    while (!bytes.empty()) {
        const auto put = ::write(file_.get(), bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return io_fault(temporary_, "cannot be written", errno);
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return {};
}

Result<void> AtomicFile::commit(const fs::path& previous) {
    STARLING_CHECK(file_.is_open());
    if (::fsync(file_.get()) != 0) {
        return io_fault(temporary_, "cannot be flushed to the disk", errno);
    }
    if (!previous.empty() && ::rename(path_.c_str(), previous.c_str()) != 0 && errno != ENOENT) {
        return io_fault(path_, "cannot be renamed", errno);
    }
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
        return io_fault(temporary_, "cannot be renamed", errno);
    }
    file_ = FileHandle();
    return sync_directory_of(path_);
}

Result<Bytes> read_file(const fs::path& path, std::uint64_t limit) {
    auto file = FileReader::open(path, limit);
    if (!file) return file.error();
    Bytes bytes(static_cast<std::size_t>(file->size()));
    if (auto read = file->read(bytes); !read) return read.error();
    return bytes;
}

Result<void> write_file_atomically(const fs::path& path, ByteView bytes, unsigned mode) {
    auto file = AtomicFile::create(path, mode);
    if (!file) return file.error();
    if (auto written = file->append(bytes); !written) return written.error();
    return file->commit();
}

Result<StateLock> lock_state_directory(const fs::path& directory) {
    std::error_code error;
    if (fs::create_directories(directory, error)) {
        fs::permissions(directory, fs::perms::owner_all, error);
    }
    if (error) {
        return fail(FaultCode::Io, directory.string() + ": cannot be made: " + error.message());
    }
    const fs::path path = directory / "lock";
    FileHandle file = open_file(path, O_RDWR | O_CREAT, 0600);
    if (!file.is_open()) return io_fault(path, "cannot be opened", errno);
    // The kernel drops the lock when the process ends in any way, so no stale lock stays behind.
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return StateLock(std::move(file));
    if (errno != EWOULDBLOCK) return io_fault(path, "cannot be locked", errno);
    return fail(
        FaultCode::AddressInUse,
        directory.string() + ": another peer uses this state directory; stop it or give another " +
            "with --state"
    );
}

}  // namespace starling::peer
