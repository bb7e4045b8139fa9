#include "peer/training/shard_shelf.hpp"

#include <utility>

#include "peer/machine/files.hpp"

namespace starling::peer {

ShardShelf::ShardShelf(Disk& disk, std::filesystem::path directory, data::ShardStore& shards)
    : disk_(disk),
      directory_(std::move(directory)),
      shards_(shards) {}

void ShardShelf::read() {
    if (directory_.empty()) return;
    for (const auto& path : disk_.list(directory_)) {
        // What a peer that was killed has left half written only takes room.
        if (path.extension() == ".tmp") {
            disk_.remove(path);
            continue;
        }
        auto bytes = read_file(disk_, path, data::kShardBytesMax);
        if (bytes.has_value()) (void)shards_.put(std::move(*bytes));
    }
}

void ShardShelf::keep() {
    if (directory_.empty()) return;
    if (make_directories(disk_, directory_, 0777).has_error()) return;
    for (const auto& shard : shards_.manifest().shards) {
        const auto path = directory_ / shard.id.hex();
        const auto bytes = shards_.get(shard.id);
        if (bytes == nullptr || disk_.exists(path)) continue;
        if (write_file_atomically(disk_, path, *bytes, 0644).has_error()) return;
    }
}

}  // namespace starling::peer
