#pragma once

// Files of the state directory. They are read with a size limit and written so that a crash at any
// moment leaves either the old or the new contents. A lock keeps a second peer out.

#include <filesystem>
#include <memory>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "peer/machine/disk.hpp"

namespace starling::peer {

/// The modes of what lies in a state directory, and of that directory: nobody but its owner reads it.
inline constexpr unsigned kPrivateFile = 0600;
inline constexpr unsigned kPrivateDirectory = 0700;

/// A file descriptor that closes itself.
class FileHandle {
public:
    explicit FileHandle(int descriptor = -1) : descriptor_(descriptor) {}

    FileHandle(FileHandle&& other) noexcept : descriptor_(other.release()) {}

    FileHandle& operator=(FileHandle&& other) noexcept;
    ~FileHandle();

    [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }

    [[nodiscard]] int get() const { return descriptor_; }

    int release();

private:
    int descriptor_;
};

/// Returns the disk of this computer. It has no state.
/// Thread    any
[[nodiscard]] Disk& real_disk();

/// Returns the directory in which a path lies.
[[nodiscard]] std::filesystem::path directory_of(const std::filesystem::path& path);

/// Returns the name under which an AtomicFile is written.
[[nodiscard]] std::filesystem::path temporary_name(const std::filesystem::path& path);

/// A file that is written under a temporary name (`NAME.tmp`, beside the final one) until commit()
/// gives it the final name. Without a commit it is deleted. A name has one writer at a time.
class AtomicFile {
public:
    /// Requires  `disk` outlives the file
    /// Errors    kDiskFull, Io
    [[nodiscard]] static Result<AtomicFile> create(
        Disk& disk, const std::filesystem::path& path, unsigned mode
    );

    AtomicFile(AtomicFile&&) = default;
    AtomicFile& operator=(AtomicFile&&) = delete;
    ~AtomicFile();

    /// Errors    kDiskFull, Io
    [[nodiscard]] Result<void> append(ByteView bytes);

    /// Flushes the file to the disk, then gives it the final name. With `previous` the old file, if
    /// there is one, gets that name first, in addition to its own: a crash at any moment leaves a
    /// whole file under the final name. (Disks without second names are the exception. There a crash
    /// between two renames leaves only `previous`.) Blocks until the contents and the name are on
    /// the disk.
    /// Errors    kDiskFull, Io; the old contents are intact under one of the two names, unless only
    ///           the last step failed (flushing the directory): then the new contents have the final
    ///           name
    [[nodiscard]] Result<void> commit(const std::filesystem::path& previous = {});

private:
    [[nodiscard]] Result<void> keep_as(const std::filesystem::path& previous);

    AtomicFile(
        Disk& disk,
        std::unique_ptr<OutputFile> file,
        std::filesystem::path path,
        std::filesystem::path temporary
    )
        : disk_(&disk),
          file_(std::move(file)),
          path_(std::move(path)),
          temporary_(std::move(temporary)) {}

    Disk* disk_;
    std::unique_ptr<OutputFile> file_;  ///< null once it has its final name
    std::filesystem::path path_;
    std::filesystem::path temporary_;
};

/// Reads a whole regular file. Without a disk it is the real one.
/// Errors    as Disk::open and InputFile::read
[[nodiscard]] Result<Bytes> read_file(
    Disk& disk, const std::filesystem::path& path, std::uint64_t limit
);
[[nodiscard]] Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t limit);

/// Replaces a file so that a crash leaves either the old or the new contents. Blocks until the new
/// ones are on the disk.
/// Errors    as AtomicFile::create and commit
[[nodiscard]] Result<void> write_file_atomically(
    Disk& disk, const std::filesystem::path& path, ByteView bytes, unsigned mode
);
[[nodiscard]] Result<void> write_file_atomically(
    const std::filesystem::path& path, ByteView bytes, unsigned mode
);

/// Makes a directory, with this mode, and those above it, where they are missing. Blocks until the
/// names of the new ones are on the disk: otherwise a loss of power could take what was flushed
/// inside.
/// Errors    kDiskFull, Io (also: something else has that name)
[[nodiscard]] Result<void> make_directories(
    Disk& disk, const std::filesystem::path& directory, unsigned mode
);

/// Keeps a state directory locked until this object is destroyed or the process ends in any way.
class StateLock {
public:
    explicit StateLock(FileHandle file) : file_(std::move(file)) {}

private:
    FileHandle file_;
};

/// Makes the state directory if needed (mode 0700) and locks it against other peers. Does not wait
/// for the lock.
/// Errors    AddressInUse (another peer runs there), kDiskFull, Io
[[nodiscard]] Result<StateLock> lock_state_directory(const std::filesystem::path& directory);

}  // namespace starling::peer
