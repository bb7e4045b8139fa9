#include "peer/machine/files.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "base/check.hpp"
#include "peer/machine/mapped_file.hpp"

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

FaultCode code_of(int error) {
    switch (error) {
        case ENOENT:
            return FaultCode::NotFound;
        case ENOSPC:
        case EDQUOT:
            return kDiskFull;
        default:
            return FaultCode::Io;
    }
}

Fault io_fault(const fs::path& path, const std::string& what, int error) {
    return fail(
        code_of(error), path.string() + ": " + what + ": " + std::generic_category().message(error)
    );
}

/// Where the directory above is missing, this is no missing file: a caller would take that for a first
/// start.
Fault cannot_make(const fs::path& path, int error) {
    auto fault = io_fault(path, "cannot be made", error);
    if (fault.code == FaultCode::NotFound) fault.code = FaultCode::Io;
    return fault;
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

    Result<SharedBytes> map(const fs::path& path, std::uint64_t limit) override {
        const FileHandle file = open_file(path, O_RDONLY | O_NONBLOCK);
        if (!file.is_open()) return io_fault(path, "cannot be opened", errno);
        auto mapped = map_file(file.get(), limit);
        if (mapped.has_error()) {
            return fail(mapped.error().code, path.string() + ": " + mapped.error().message);
        }
        return mapped;
    }

    std::optional<FileStamp> stamp(const fs::path& path) override {
        struct stat status {};

        if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
        return FileStamp{
            static_cast<std::uint64_t>(status.st_size),
            std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
            status.st_ino};
    }

    Result<std::unique_ptr<OutputFile>> create(const fs::path& path, unsigned mode) override {
        // A file left by a crash may have other permissions. O_EXCL also refuses to follow a link
        // that somebody planted.
        ::unlink(path.c_str());
        FileHandle file = open_file(path, O_WRONLY | O_CREAT | O_EXCL, mode);
        if (!file.is_open()) {
            return cannot_make(path, errno);
        }
        return std::make_unique<RealOutput>(std::move(file), path);
    }

    Result<void> rename(const fs::path& from, const fs::path& to) override {
        if (::rename(from.c_str(), to.c_str()) == 0) return {};
        return io_fault(from, "cannot be renamed", errno);
    }

    Result<void> link(const fs::path& from, const fs::path& to) override {
        if (::link(from.c_str(), to.c_str()) == 0) return {};
        return io_fault(from, "cannot get a second name", errno);
    }

    Result<void> overwrite(const fs::path& path, ByteView bytes) override {
        STARLING_CHECK(bytes.size() <= kOverwriteBytesMax);
        const FileHandle file = open_file(path, O_WRONLY);
        if (!file.is_open()) return io_fault(path, "cannot be opened", errno);
        ssize_t put = 0;
        do {
            put = ::pwrite(file.get(), bytes.data(), bytes.size(), 0);
        } while (put < 0 && errno == EINTR);
        if (put < 0) return io_fault(path, "cannot be written", errno);
        if (static_cast<std::size_t>(put) < bytes.size()) {
            return io_fault(path, "cannot be written", ENOSPC);
        }
        if (::fsync(file.get()) == 0) return {};
        return io_fault(path, "cannot be flushed to the disk", errno);
    }

    void remove(const fs::path& path) override { ::unlink(path.c_str()); }

    bool exists(const fs::path& path) override {
        std::error_code error;
        return fs::exists(path, error);
    }

    std::vector<fs::path> list(const fs::path& directory) override {
        std::vector<fs::path> paths;
        std::error_code error;
        fs::directory_iterator entry(directory, error);
        for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
            paths.push_back(entry->path());
        }
        return paths;
    }

    Result<void> make_directory(const fs::path& directory, unsigned mode) override {
        if (::mkdir(directory.c_str(), mode) == 0) return {};
        const int failed = errno;
        std::error_code error;
        if (failed == EEXIST && fs::is_directory(directory, error)) return {};
        return cannot_make(directory, failed);
    }

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

Result<SharedBytes> Disk::map(const fs::path& path, std::uint64_t limit) {
    auto bytes = read_file(*this, path, limit);
    if (!bytes) return bytes.error();
    auto shared = share(std::move(*bytes));
    shared.mapped = true;  // the copy stands for the file's pages
    return shared;
}

std::optional<FileStamp> Disk::stamp(const fs::path& /*path*/) {
    return std::nullopt;
}

Disk& real_disk() {
    static RealDisk disk;
    return disk;
}

fs::path directory_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

fs::path temporary_name(const fs::path& path) {
    fs::path temporary = path;
    temporary += ".tmp";
    return temporary;
}

Result<AtomicFile> AtomicFile::create(Disk& disk, const fs::path& path, unsigned mode) {
    auto temporary = temporary_name(path);
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
        if (auto kept = keep_as(previous); !kept) return kept.error();
    }
    if (auto renamed = disk_->rename(temporary_, path_); !renamed) return renamed.error();
    file_.reset();
    // A rename is on the disk only when its directory is.
    return disk_->sync_directory(directory_of(path_));
}

/// Gives the file that we replace a second name, so that no crash leaves its first name without a
/// file. Where that is not possible (exFAT knows no second names, and a full disk may lack the room
/// for one), the file gets another name instead.
Result<void> AtomicFile::keep_as(const fs::path& previous) {
    if (!disk_->exists(path_)) return {};  // then `previous` may be the only file that is left
    disk_->remove(previous);
    if (disk_->link(path_, previous)) return {};
    return disk_->rename(path_, previous);
}

Result<Bytes> read_file(Disk& disk, const fs::path& path, std::uint64_t limit) {
    auto file = disk.open(path, limit);
    if (!file) return file.error();
    Bytes bytes(static_cast<std::size_t>((*file)->size()));
    if (auto read = (*file)->read(bytes); !read) return read.error();
    return bytes;
}

Result<Bytes> read_file(const fs::path& path, std::uint64_t limit) {
    return read_file(real_disk(), path, limit);
}

Result<void> write_file_atomically(
    Disk& disk, const fs::path& path, ByteView bytes, unsigned mode
) {
    auto file = AtomicFile::create(disk, path, mode);
    if (!file) return file.error();
    if (auto written = file->append(bytes); !written) return written.error();
    return file->commit();
}

Result<void> write_file_atomically(const fs::path& path, ByteView bytes, unsigned mode) {
    return write_file_atomically(real_disk(), path, bytes, mode);
}

Result<void> make_directories(Disk& disk, const fs::path& directory, unsigned mode) {
    const auto last = directory.has_filename() ? directory : directory.parent_path();
    fs::path made;
    for (const auto& part : last) {
        made /= part;
        if (disk.exists(made)) continue;
        // The modes of those above are not our business, so the user's umask decides.
        const auto mode_here = made == last ? mode : 0777U;
        if (auto ok = disk.make_directory(made, mode_here); !ok) return ok.error();
        // Whoever may not read the directory above cannot flush it. The peer works there all the
        // same; a loss of power in the first seconds may then take its state.
        (void)disk.sync_directory(directory_of(made));
    }
    return {};
}

Result<StateLock> lock_state_directory(const fs::path& directory) {
    if (auto made = make_directories(real_disk(), directory, kPrivateDirectory); !made)
        return made.error();
    const fs::path path = directory / "lock";
    FileHandle file = open_file(path, O_RDWR | O_CREAT, kPrivateFile);
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
