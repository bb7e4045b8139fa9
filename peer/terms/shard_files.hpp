#pragma once

// Where the bytes of shards lie, so that they take no memory: each is a file of its own, which is
// mapped. In a directory its name is the shard's id; without a directory it has no name. Of a shard that lies in a user's
// files only the list of its extents is kept, in ID.extents.

#include <filesystem>
#include <optional>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/shared_bytes.hpp"
#include "data/shard_sink.hpp"
#include "data/stored_shard.hpp"
#include "peer/machine/disk.hpp"

namespace starling::peer {

/// Behind an id: the file is a list of extents.
inline constexpr const char* kExtentsSuffix = ".extents";

/// Returns a cut shard as its list of extents, or nothing: it does not lie in users' files, or in pieces so
/// small that a copy is better.
[[nodiscard]] std::optional<Bytes> extents_worth_keeping(const data::CutShard& cut);

/// Thread    any one at a time
class ShardFiles {
public:
    /// With an empty `directory` the files have no names and end with the process.
    /// Requires  `disk` outlives this
    ShardFiles(Disk& disk, std::filesystem::path directory);

    /// Writes a shard, over an older file of that name, and maps it. Blocks until it is on the disk.
    /// Errors    kDiskFull, Io
    [[nodiscard]] Result<SharedBytes> keep(const ShardId& id, ByteView bytes) {
        return keep_as(path_of(id), bytes);
    }

    /// Keeps a shard that was cut: as a list of extents where it lies in users' files in large pieces.
    /// Errors    kDiskFull, Io
    [[nodiscard]] Result<data::StoredShard> keep(const data::CutShard& cut);

    /// Writes what the store has of a shard.
    /// Errors    kDiskFull, Io
    [[nodiscard]] Result<data::StoredShard> keep(const ShardId& id, const data::StoredShard& shard);

    [[nodiscard]] std::filesystem::path path_of(const ShardId& id) const;

    /// Returns the file of a shard's list of extents.
    [[nodiscard]] std::filesystem::path list_path(const ShardId& id) const;

    [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

private:
    [[nodiscard]] Result<SharedBytes> keep_as(const std::filesystem::path& path, ByteView bytes);

    Disk& disk_;
    std::filesystem::path directory_;
};

}  // namespace starling::peer
