#pragma once

// The files of the shards that a peer holds. The store has them mapped, so that they take no memory,
// and the peer's next life need not fetch them again. Each file has the shard's id as its name, or is the
// list of its extents in users' files (data/shard_extents.hpp).
//
// Thread    that of the files

#include <filesystem>
#include <functional>
#include <string>
#include <unordered_map>

#include "data/shard_store.hpp"
#include "peer/machine/disk.hpp"
#include "peer/terms/shard_files.hpp"

namespace starling::peer {

class ShardShelf {
public:
    /// With an empty `directory` nothing is read, and what is kept has no name.
    /// Requires  `disk` and `shards` outlive the shelf
    ShardShelf(Disk& disk, std::filesystem::path directory, data::ShardStore& shards);

    /// Puts the shards of the last life into the store. A file is hashed unless it has the stamp with
    /// which it was written or hashed before. Damaged files are removed, and so are the shards of other
    /// swarms; other files are left alone. The session fetches what is missing.
    void read();

    /// What was given up because users' files are gone or have changed.
    struct Lost {
        std::uint64_t shards = 0;
        std::string file;  ///< one of those that have changed
    };

    [[nodiscard]] const Lost& lost() const { return lost_; }

    /// Removes the files of the shards that the store has given up. Then it writes each shard that lies
    /// in memory, and lets the store have the file instead. Blocks until they are on the disk. The first that cannot be written ends it; the next call tries again.
    /// Calls `written`, if there is one, after each.
    /// Errors    kDiskFull, Io
    [[nodiscard]] Result<void> keep(const std::function<void()>& written = {});

    /// Writes down which files need not be hashed by the next life. If that fails, they are hashed.
    void remember();

private:
    void take(const std::filesystem::path& path, const ShardId& id);
    [[nodiscard]] Result<data::StoredShard> open(const std::filesystem::path& path);
    void lose(const std::string& file);
    void recall();
    void remove_dropped();

    Disk& disk_;
    ShardFiles files_;
    data::ShardStore& shards_;
    /// The stamps of files whose bytes have the right hash, by their names.
    std::unordered_map<std::string, FileStamp> verified_;
    bool changed_ = false;  ///< `verified_`, since it was written
    Lost lost_;
};

}  // namespace starling::peer
