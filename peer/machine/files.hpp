#pragma once

// Files of the state directory: read with a limit, written so that a crash at any moment leaves
// either the old or the new contents, and guarded against a second peer.

#include <filesystem>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::peer {

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

/// A regular file that is read from front to back; its size was checked before.
class FileReader {
public:
    /// Errors    NotFound, Oversized (longer than `limit`), Io (also: not a regular file)
    [[nodiscard]] static Result<FileReader> open(
        const std::filesystem::path& path, std::uint64_t limit
    );

    [[nodiscard]] std::uint64_t size() const { return size_; }

    /// Fills `out`. Errors Truncated (the file ends first), Io
    [[nodiscard]] Result<void> read(std::span<std::byte> out);

private:
    FileReader(FileHandle file, std::uint64_t size, std::filesystem::path path)
        : file_(std::move(file)),
          size_(size),
          path_(std::move(path)) {}

    FileHandle file_;
    std::uint64_t size_;
    std::filesystem::path path_;
};

/// A file under a temporary name beside its final one (`NAME.tmp`, one writer at a time) until
/// commit() puts it there; without a commit it vanishes.
class AtomicFile {
public:
    /// Errors    Io
    [[nodiscard]] static Result<AtomicFile> create(
        const std::filesystem::path& path, unsigned mode
    );

    AtomicFile(AtomicFile&&) = default;
    AtomicFile& operator=(AtomicFile&&) = delete;
    ~AtomicFile();

    /// Errors    Io
    [[nodiscard]] Result<void> append(ByteView bytes);

    /// Flushes to the disk, then replaces the final name. With `previous` the old file, if there is
    /// one, gets that name first: a crash in between leaves only `previous`.
    /// Errors    Io; the old contents are intact under one of the two names
    [[nodiscard]] Result<void> commit(const std::filesystem::path& previous = {});

private:
    AtomicFile(FileHandle file, std::filesystem::path path, std::filesystem::path temporary)
        : file_(std::move(file)),
          path_(std::move(path)),
          temporary_(std::move(temporary)) {}

    FileHandle file_;
    std::filesystem::path path_;
    std::filesystem::path temporary_;
};

/// Reads a whole regular file.
/// Errors    as FileReader::open and read
[[nodiscard]] Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t limit);

/// Errors    Io; the old contents are intact
[[nodiscard]] Result<void> write_file_atomically(
    const std::filesystem::path& path, ByteView bytes, unsigned mode
);

/// Holds a state directory until it is destroyed or the process ends, however it ends.
class StateLock {
public:
    explicit StateLock(FileHandle file) : file_(std::move(file)) {}

private:
    FileHandle file_;
};

/// Makes the state directory if needed (0700) and locks it against other peers.
/// Errors    AddressInUse (another peer runs there), Io
[[nodiscard]] Result<StateLock> lock_state_directory(const std::filesystem::path& directory);

}  // namespace starling::peer
