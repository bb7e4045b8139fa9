#include "peer/machine/shard_files.hpp"

#include <utility>

#include "peer/machine/files.hpp"
#include "peer/machine/mapped_file.hpp"

namespace starling::peer {

ShardFiles::ShardFiles(Disk& disk, std::filesystem::path directory)
    : disk_(disk),
      directory_(std::move(directory)) {}

std::filesystem::path ShardFiles::path_of(const ShardId& id) const {
    return directory_ / id.hex();
}

Result<SharedBytes> ShardFiles::keep(const ShardId& id, ByteView bytes) {
    if (directory_.empty()) return map_unnamed(bytes);
    if (auto made = make_directories(disk_, directory_, kPrivateDirectory); !made)
        return made.error();
    const auto path = path_of(id);
    if (auto written = write_file_atomically(disk_, path, bytes, kPrivateFile); !written) {
        return written.error();
    }
    return disk_.map(path, bytes.size());
}

}  // namespace starling::peer
