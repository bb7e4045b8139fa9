#pragma once

// The files of the shards that a peer holds, so that its next life need not fetch them again. Each
// file has the shard's id as its name.
//
// Thread    compute

#include <filesystem>

#include "data/shard_store.hpp"
#include "peer/machine/disk.hpp"

namespace starling::peer {

class ShardShelf {
public:
    /// With an empty `directory` nothing is read or kept.
    /// Requires  `disk` and `shards` outlive the shelf
    ShardShelf(Disk& disk, std::filesystem::path directory, data::ShardStore& shards);

    /// Puts the shards of the last life into the store. Damaged and foreign files are skipped: the
    /// store verifies hashes, and the session fetches what is missing.
    void read();

    /// Writes each held shard that has no file yet. Blocks until they are on the disk. If the disk
    /// is full, only copies are missing, and the next call tries again.
    void keep();

private:
    Disk& disk_;
    std::filesystem::path directory_;
    data::ShardStore& shards_;
};

}  // namespace starling::peer
