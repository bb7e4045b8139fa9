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

Fault oversized(const fs::path& path, std::uint64_t size, std::uint64_t limit) {
    return fail(
        FaultCode::Oversized,
        path.string() + ": " + std::to_string(size) + " bytes, more than the limit of " +
            std::to_string(limit)
    );
}

class RealInput final : public InputFile {
public:
    RealInput(FileHandle file, std::uint64_t size, fs::path path)
        : file_(std::move(file)),
          size_(size),
          path_(std::move(path)) {}

    [[nodiscard]] std::uint64_t size() const override { return size_; }

    Result<void> read(std::span<std::byte> out) override {
        while (!out.empty()) {
            const auto got = ::read(file_.get(), out.data(), out.size());
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return io_fault(path_, "cannot be read", errno);
            if (got == 0) return fail(FaultCode::Truncated, path_.string() + ": it ends too early");
            out = out.subspan(static_cast<std::size_t>(got));
        }
        return {};
    }

private:
    FileHandle file_;
    std::uint64_t size_;
    fs::path path_;
};

class RealOutput final : public OutputFile {
public:
    RealOutput(FileHandle file, fs::path path) : file_(std::move(file)), path_(std::move(path)) {}

    Result<void> append(ByteView bytes) override {
        while (!bytes.empty()) {
            const auto put = ::write(file_.get(), bytes.data(), bytes.size());
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) return io_fault(path_, "cannot be written", errno);
            bytes = bytes.subspan(static_cast<std::size_t>(put));
        }
        return {};
    }

    Result<void> sync() override {
        if (::fsync(file_.get()) == 0) return {};
        return io_fault(path_, "cannot be flushed to the disk", errno);
    }

private:
    FileHandle file_;
    fs::path path_;
};

class RealDisk final : public Disk {
public:
    Result<std::unique_ptr<InputFile>> open(const fs::path& path, std::uint64_t limit) override {
        // O_NONBLOCK, because opening a named pipe would otherwise wait for a writer for ever.
        FileHandle file = open_file(path, O_RDONLY | O_NONBLOCK);
        if (!file.is_open()) return io_fault(path, "cannot be opened", errno);

        struct stat status {};

        if (::fstat(file.get(), &status) != 0) return io_fault(path, "cannot be examined", errno);
        if (!S_ISREG(status.st_mode)) {
            return fail(FaultCode::Io, path.string() + ": not a regular file");
        }
        const auto size = static_cast<std::uint64_t>(status.st_size);
        if (size > limit) return oversized(path, size, limit);
        return std::make_unique<RealInput>(std::move(file), size, path);
    }

    Result<std::unique_ptr<OutputFile>> create(const fs::path& path, unsigned mode) override {
        // A file left by a crash may have other permissions. O_EXCL also refuses to follow a link
        // that somebody planted.
        ::unlink(path.c_str());
        FileHandle file = open_file(path, O_WRONLY | O_CREAT | O_EXCL, mode);
        if (!file.is_open()) {
            const int error = errno;
            return fail(
                FaultCode::Io,
                path.string() + ": cannot be made: " + std::generic_category().message(error)
            );
        }
        return std::make_unique<RealOutput>(std::move(file), path);
    }

    Result<void> rename(const fs::path& from, const fs::path& to) override {
        if (::rename(from.c_str(), to.c_str()) == 0) return {};
        return io_fault(from, "cannot be renamed", errno);
    }

    void remove(const fs::path& path) override { ::unlink(path.c_str()); }

    Result<void> sync_directory(const fs::path& path) override {
        const FileHandle directory = open_file(path, O_RDONLY | O_DIRECTORY);
        if (!directory.is_open() || ::fsync(directory.get()) != 0) {
            return io_fault(path, "cannot be flushed to the disk", errno);
        }
        return {};
    }
};

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

Disk& real_disk() {
    static RealDisk disk;
    return disk;
}

Result<AtomicFile> AtomicFile::create(Disk& disk, const fs::path& path, unsigned mode) {
    fs::path temporary = path;
    temporary += ".tmp";
    auto file = disk.create(temporary, mode);
    if (!file) return file.error();
    return AtomicFile(disk, std::move(*file), path, std::move(temporary));
}

AtomicFile::~AtomicFile() {
    if (file_) disk_->remove(temporary_);
}

Result<void> AtomicFile::append(ByteView bytes) {
    STARLING_CHECK(file_ != nullptr);
    return file_->append(bytes);
}

Result<void> AtomicFile::commit(const fs::path& previous) {
    STARLING_CHECK(file_ != nullptr);
    if (auto synced = file_->sync(); !synced) return synced.error();
    if (!previous.empty()) {
        const auto kept = disk_->rename(path_, previous);
        if (!kept && kept.error().code != FaultCode::NotFound) return kept.error();
    }
    if (auto renamed = disk_->rename(temporary_, path_); !renamed) return renamed.error();
    file_.reset();
    // A rename is on the disk only when its directory is.
    return disk_->sync_directory(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

Result<Bytes> read_file(const fs::path& path, std::uint64_t limit) {
    auto file = real_disk().open(path, limit);
    if (!file) return file.error();
    Bytes bytes(static_cast<std::size_t>((*file)->size()));
    if (auto read = (*file)->read(bytes); !read) return read.error();
    return bytes;
}

Result<void> write_file_atomically(const fs::path& path, ByteView bytes, unsigned mode) {
    auto file = AtomicFile::create(real_disk(), path, mode);
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
