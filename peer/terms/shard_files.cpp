#include "peer/terms/shard_files.hpp"

#include <utility>

#include "peer/machine/files.hpp"
#include "peer/machine/mapped_file.hpp"

namespace starling::peer {

namespace {

/// A read from a user's file takes some microseconds, as much as copying so many bytes.
constexpr std::size_t kPieceBytesMin = 4096;

}  // namespace

std::optional<Bytes> extents_worth_keeping(const data::CutShard& cut) {
    const auto count = cut.extents.size();
    const auto body = cut.bytes.size() - cut.head;
    if (count == 0 || cut.head == 0 || body / count < kPieceBytesMin) return std::nullopt;
    return data::encode_extents(ByteView(cut.bytes).first(cut.head), cut.extents);
}

ShardFiles::ShardFiles(Disk& disk, std::filesystem::path directory)
    : disk_(disk),
      directory_(std::move(directory)) {}

std::filesystem::path ShardFiles::path_of(const ShardId& id) const {
    return directory_ / id.hex();
}

std::filesystem::path ShardFiles::list_path(const ShardId& id) const {
    return directory_ / (id.hex() + kExtentsSuffix);
}

Result<data::StoredShard> ShardFiles::keep(const data::CutShard& cut) {
    const auto list = extents_worth_keeping(cut);
    auto kept = list ? keep_as(list_path(cut.id), *list) : keep_as(path_of(cut.id), cut.bytes);
    if (kept.has_error()) return kept.error();
    if (list) return data::shard_in_place(std::move(*kept));
    return data::whole_shard(std::move(*kept));
}

Result<data::StoredShard> ShardFiles::keep(const ShardId& id, const data::StoredShard& shard) {
    const auto path = shard.extents ? list_path(id) : path_of(id);
    auto kept = keep_as(path, shard.bytes.view);
    if (kept.has_error()) return kept.error();
    if (shard.extents) return data::shard_in_place(std::move(*kept));
    return data::whole_shard(std::move(*kept));
}

Result<SharedBytes> ShardFiles::keep_as(const std::filesystem::path& path, ByteView bytes) {
    if (directory_.empty()) return map_unnamed(bytes);
    if (auto made = make_directories(disk_, directory_, kPrivateDirectory); !made)
        return made.error();
    if (auto written = write_file_atomically(disk_, path, bytes, kPrivateFile); !written) {
        return written.error();
    }
    return disk_.map(path, bytes.size());
}

}  // namespace starling::peer
