#pragma once

// Records that lie in files, for sources. They are read with pread: a user's file that is cut short
// while it is mapped would kill the process. A file that has changed since it was scanned is refused,
// because what it holds now is not what was counted and hashed.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/shard_extents.hpp"

namespace starling::data {

/// Where one record lies.
struct RecordPlace {
    std::uint32_t file = 0;
    std::uint32_t length = 0;
    std::uint64_t offset = 0;
};

/// Thread    one at a time
class RecordFiles {
public:
    RecordFiles();
    ~RecordFiles();
    RecordFiles(RecordFiles&&) noexcept;
    RecordFiles& operator=(RecordFiles&&) noexcept;
    RecordFiles(const RecordFiles&) = delete;
    RecordFiles& operator=(const RecordFiles&) = delete;

    /// Remembers a file, its size and its time.
    /// Errors    NotFound, Io, Usage (not a regular file); each names it
    [[nodiscard]] Result<std::uint32_t> add(const std::filesystem::path& path);

    /// Returns the size of a file that was added.
    [[nodiscard]] std::uint64_t size(std::uint32_t file) const;

    /// Makes a file without a name for what cannot be read in place, as packed files. It lies in the
    /// directory for temporary files and is gone with this object.
    /// Errors    Io
    [[nodiscard]] Result<std::uint32_t> add_unpacked();

    /// Appends to a file without a name and returns where the bytes begin. Small appends are
    /// collected.
    /// Requires  `file` is from add_unpacked
    /// Errors    Io (the disk is full)
    [[nodiscard]] Result<std::uint64_t> append(std::uint32_t file, ByteView bytes);

    /// Returns where a record lies, for somebody who reads it when this object is gone. Nothing if it
    /// lies in an unpacked file.
    [[nodiscard]] std::optional<FileExtent> file_extent(const RecordPlace& place) const;

    /// Appends a record's bytes to `out`.
    /// Errors    Io, NotFound; Corrupt (the file has changed); each names the file
    [[nodiscard]] Result<void> read(const RecordPlace& place, Bytes& out) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace starling::data
