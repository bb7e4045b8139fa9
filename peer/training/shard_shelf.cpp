#include "peer/training/shard_shelf.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include "peer/machine/files.hpp"

namespace starling::peer {

namespace {

constexpr std::size_t kNameLength = 64;  ///< of an id in hexadecimal digits
/// Of the list of stamps: 65,536 lines of less than 128 characters.
constexpr std::uint64_t kListBytesMax = std::uint64_t{8} << 20U;
constexpr const char* kListName = "verified";

bool is_shard_name(const std::string& name) {
    return name.size() == kNameLength && std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

}  // namespace

ShardShelf::ShardShelf(Disk& disk, std::filesystem::path directory, data::ShardStore& shards)
    : disk_(disk),
      files_(disk, std::move(directory)),
      shards_(shards) {}

void ShardShelf::read() {
    if (files_.directory().empty()) return;
    recall();
    std::unordered_map<std::string, ShardId> known;
    for (const auto& shard : shards_.manifest().shards) known.emplace(shard.id.hex(), shard.id);
    for (const auto& path : disk_.list(files_.directory())) {
        const auto name = path.filename().string();
        const bool list = path.extension() == kExtentsSuffix;
        const auto id = list ? path.stem().string() : name;
        const auto shard = known.find(id);
        if (shard != known.end()) {
            take(path, shard->second);
        } else if (path.extension() == ".tmp" || is_shard_name(id)) {
            // What a peer that was killed has left half written, and what another swarm has left,
            // only takes room.
            disk_.remove(path);
        }
    }
    std::erase_if(verified_, [&](const auto& entry) {
        const auto shard = known.find(entry.first.substr(0, kNameLength));
        return shard == known.end() || !shards_.has(shard->second);
    });
    remember();
}

void ShardShelf::lose(const std::string& file) {
    ++lost_.shards;
    lost_.file = file;
}

/// Maps a file of ours. A list whose first file is no longer what it was says that people have moved or
/// changed their files; its shard is as good as not there.
/// Errors    Io (it may be there another time), others (it is of no use)
Result<data::StoredShard> ShardShelf::open(const std::filesystem::path& path) {
    auto bytes = disk_.map(path, data::kShardBytesMax);
    if (bytes.has_error()) return fail(FaultCode::Io, bytes.error().message);
    if (path.extension() != kExtentsSuffix) return data::whole_shard(std::move(*bytes));
    auto shard = data::shard_in_place(std::move(*bytes));
    if (shard.has_error()) return shard;
    const auto there = shard->extents->check_first();
    if (there) return shard;
    lose(shard->extents->changed_file());
    // A disk of the user's that is not mounted yet may be so at the next start.
    const bool changed = there.error().code == FaultCode::Corrupt;
    return fail(changed ? FaultCode::Corrupt : FaultCode::Io, there.error().message);
}

/// Puts one file's shard into the store.
void ShardShelf::take(const std::filesystem::path& path, const ShardId& id) {
    const auto name = path.filename().string();
    const auto stamp = disk_.stamp(path);
    const auto before = verified_.find(name);
    // The store has it already if this life has cut it; then this file was written by us just now.
    bool sound = shards_.get(id).bytes.mapped;
    if (!sound) {
        auto shard = open(path);
        if (shard.has_error() && shard.error().code == FaultCode::Io) return;
        if (shard) {
            const bool same = stamp && before != verified_.end() && before->second == *stamp;
            const auto put =
                same ? shards_.put_known(id, std::move(*shard)) : shards_.put(std::move(*shard));
            sound = put.has_value() && shards_.has(id);
        }
        if (!sound) disk_.remove(path);
    }
    if (!sound || !stamp) return;
    if (before != verified_.end() && before->second == *stamp) return;
    verified_[name] = *stamp;
    changed_ = true;
}

/// One that was given up and has come again lies in memory, and is written after this.
void ShardShelf::remove_dropped() {
    for (const auto& id : shards_.take_dropped()) {
        if (files_.directory().empty()) continue;
        for (const auto& path : {files_.path_of(id), files_.list_path(id)}) {
            disk_.remove(path);
            changed_ = verified_.erase(path.filename().string()) > 0 || changed_;
        }
    }
}

Result<void> ShardShelf::keep(const std::function<void()>& written) {
    for (const auto& file : shards_.give_up_changed()) lose(file);
    remove_dropped();
    for (const auto& id : shards_.in_memory()) {
        const auto shard = shards_.get(id);
        if (!shard) continue;  // given up since
        auto kept = files_.keep(id, shard);
        if (kept.has_error()) return kept.error();
        const auto path = kept->extents ? files_.list_path(id) : files_.path_of(id);
        const auto put = shards_.put_known(id, std::move(*kept));
        if (put.has_error()) return put.error();
        if (written) written();
        if (files_.directory().empty()) continue;
        if (const auto stamp = disk_.stamp(path)) {
            verified_[path.filename().string()] = *stamp;
            changed_ = true;
        }
    }
    return {};
}

/// Reads the list of stamps. A line that we do not understand only costs a hash.
void ShardShelf::recall() {
    const auto bytes = read_file(disk_, files_.directory() / kListName, kListBytesMax);
    if (bytes.has_error()) return;
    std::string text(bytes->size(), ' ');
    std::transform(bytes->begin(), bytes->end(), text.begin(), [](std::byte b) {
        return static_cast<char>(b);
    });
    std::istringstream lines(text);
    std::string name;
    FileStamp stamp;
    while (lines >> name >> stamp.size >> stamp.changed >> stamp.inode) verified_[name] = stamp;
}

void ShardShelf::remember() {
    if (!changed_ || files_.directory().empty()) return;
    std::string text;
    for (const auto& [name, stamp] : verified_) {
        text += name + " " + std::to_string(stamp.size) + " " + std::to_string(stamp.changed) +
                " " + std::to_string(stamp.inode) + "\n";
    }
    const auto path = files_.directory() / kListName;
    changed_ = write_file_atomically(disk_, path, as_byte_view(text), kPrivateFile).has_error();
}

}  // namespace starling::peer
