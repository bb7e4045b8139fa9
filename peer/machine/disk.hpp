#pragma once

// The few things that a peer asks of a disk. The state directory is written and read through this
// interface, so that a simulation can give a disk in memory that loses its power at any operation.
//
// What a disk promises about a loss of power: the bytes of a file are safe once sync() has
// succeeded, and a name is safe once sync_directory() has. Until then the disk may keep or lose
// each of them, in any order. One rename happens wholly or not at all, and so does an overwrite()
// of few bytes.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/shared_bytes.hpp"

namespace starling::peer {

/// What every operation that needs room says when there is none: the disk or the user's quota is
/// full. Others use that room now, so a later attempt may succeed.
inline constexpr FaultCode kDiskFull = FaultCode::Busy;

/// The most bytes that overwrite() takes. A file begins at the beginning of a sector, no sector has
/// fewer bytes, and a disk writes one wholly or not at all.
inline constexpr std::size_t kOverwriteBytesMax = 512;

/// A regular file that is read from front to back.
class InputFile {
public:
    virtual ~InputFile() = default;

    [[nodiscard]] virtual std::uint64_t size() const = 0;

    /// Fills `out` with the next bytes.
    /// Errors    Truncated (the file ends first), Io
    [[nodiscard]] virtual Result<void> read(std::span<std::byte> out) = 0;
};

/// A new file that is written from front to back. Its destructor closes it.
class OutputFile {
public:
    virtual ~OutputFile() = default;

    /// Errors    kDiskFull, Io
    [[nodiscard]] virtual Result<void> append(ByteView bytes) = 0;

    /// Blocks until all appended bytes are on the disk.
    /// Errors    kDiskFull (some disks find room only now), Io
    [[nodiscard]] virtual Result<void> sync() = 0;
};

/// How a file can be recognized as the one that it was.
struct FileStamp {
    std::uint64_t size = 0;
    std::int64_t changed = 0;  ///< ns since 1970
    std::uint64_t inode = 0;

    friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

/// Requires  a disk outlives its files
class Disk {
public:
    virtual ~Disk() = default;

    /// Errors    NotFound, Oversized (longer than `limit`), Io (also: not a regular file)
    [[nodiscard]] virtual Result<std::unique_ptr<InputFile>> open(
        const std::filesystem::path& path, std::uint64_t limit
    ) = 0;

    /// Returns the bytes of a regular file that nobody shortens while they are in use: pages that are
    /// gone kill the process. Only files of our own are such. A real disk maps them, others read them.
    /// Errors    as open() and read()
    [[nodiscard]] virtual Result<SharedBytes> map(
        const std::filesystem::path& path, std::uint64_t limit
    );

    /// Returns a regular file's stamp, or nothing: it is not there, or this disk has none.
    [[nodiscard]] virtual std::optional<FileStamp> stamp(const std::filesystem::path& path);

    /// Makes a new file. What had this name before is removed first.
    /// Errors    kDiskFull, Io
    [[nodiscard]] virtual Result<std::unique_ptr<OutputFile>> create(
        const std::filesystem::path& path, unsigned mode
    ) = 0;

    /// Gives a file another name in the same directory. What had that name before is gone.
    /// Errors    NotFound, Io
    [[nodiscard]] virtual Result<void> rename(
        const std::filesystem::path& from, const std::filesystem::path& to
    ) = 0;

    /// Gives a file a second name in the same directory.
    /// Requires  nothing has that name
    /// Errors    NotFound, kDiskFull, Io (also: these disks know no second names)
    [[nodiscard]] virtual Result<void> link(
        const std::filesystem::path& from, const std::filesystem::path& to
    ) = 0;

    /// Replaces the contents of a file by as many bytes, in the place where it lies. A full disk has
    /// room for that. Blocks until they are on the disk.
    /// Requires  at most kOverwriteBytesMax bytes, and the file has that size
    /// Errors    NotFound, kDiskFull (a disk that never writes in place), Io
    [[nodiscard]] virtual Result<void> overwrite(
        const std::filesystem::path& path, ByteView bytes
    ) = 0;

    /// Removes a name if it is there. Nothing depends on whether this succeeds.
    virtual void remove(const std::filesystem::path& path) = 0;

    [[nodiscard]] virtual bool exists(const std::filesystem::path& path) = 0;

    /// Returns the paths of what lies in a directory, in any order. What cannot be read is left out.
    [[nodiscard]] virtual std::vector<std::filesystem::path> list(
        const std::filesystem::path& directory
    ) = 0;

    /// Makes one directory if it is missing. Its name is not safe yet.
    /// Errors    kDiskFull, Io
    [[nodiscard]] virtual Result<void> make_directory(
        const std::filesystem::path& directory, unsigned mode
    ) = 0;

    /// Blocks until all changes of names in this directory are on the disk.
    /// Errors    NotFound, Io
    [[nodiscard]] virtual Result<void> sync_directory(const std::filesystem::path& directory) = 0;
};

}  // namespace starling::peer
