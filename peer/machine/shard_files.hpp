#pragma once

// Where the bytes of shards lie, so that they take no memory: each is a file of its own, which is
// mapped. In a directory its name is the shard's id; without a directory it has no name.

#include <filesystem>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/shared_bytes.hpp"
#include "peer/machine/disk.hpp"

namespace starling::peer {

/// Thread    any one at a time
class ShardFiles {
public:
    /// With an empty `directory` the files have no names and end with the process.
    /// Requires  `disk` outlives this
    ShardFiles(Disk& disk, std::filesystem::path directory);

    /// Writes a shard, over an older file of that name, and maps it. Blocks until it is on the disk.
    /// Errors    kDiskFull, Io
    [[nodiscard]] Result<SharedBytes> keep(const ShardId& id, ByteView bytes);

    [[nodiscard]] std::filesystem::path path_of(const ShardId& id) const;

    [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

private:
    Disk& disk_;
    std::filesystem::path directory_;
};

}  // namespace starling::peer
