#include "data/shard_store.hpp"

#include <algorithm>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "base/check.hpp"

namespace starling::data {

ShardStore::ShardStore(const Manifest& manifest, HashFunction sha256)
    : manifest_(manifest),
      sha256_(sha256) {
    STARLING_CHECK(check_manifest(manifest_).has_value());
    STARLING_CHECK(sha256_ != nullptr);
    index_.reserve(manifest_.shards.size());
    for (std::size_t i = 0; i < manifest_.shards.size(); ++i) {
        index_.emplace(manifest_.shards[i].id, i);
    }
}

Result<void> ShardStore::put(StoredShard shard) {
    // We refuse it before we hash it: no shard is so large, and hashing takes time.
    if (shard.size() > kShardBytesMax) {
        return fail(FaultCode::NotFound, "a shard larger than 16 MiB is in no manifest");
    }
    Bytes room;
    const auto bytes = shard.read(0, shard.size(), room);
    if (!bytes) return bytes.error();
    const ShardId id{sha256_(*bytes)};
    const ShardInfo* known = info(id);
    if (known == nullptr) {
        return fail(
            FaultCode::NotFound,
            "shard " + id.short_string() +
                ": not in the manifest; it was changed on its way or "
                "belongs to another swarm"
        );
    }
    if (shard.extents) {
        // Only the whole shard shows whether its tokens are sound.
        if (auto sound = open_shard(*bytes, *known, manifest_); !sound) return sound.error();
    }
    return put_known(id, std::move(shard));
}

Result<void> ShardStore::put_known(const ShardId& id, StoredShard shard) {
    STARLING_CHECK(static_cast<bool>(shard));
    const ShardInfo* known = info(id);
    if (known == nullptr) {
        return fail(FaultCode::NotFound, "shard " + id.short_string() + ": not in the manifest");
    }
    if (shard.size() != known->bytes) {
        return fail(
            FaultCode::Corrupt, "shard " + id.short_string() + ": the manifest gives another size"
        );
    }
    if (auto sound = open_shard(shard, *known, manifest_); !sound) return sound.error();
    std::function<void()> arrived;
    {
        const std::unique_lock lock(mutex_);
        const auto [at, fresh] = held_.try_emplace(id, shard);
        auto& held = at->second;
        const auto stored = shard.bytes.view.size();
        if (fresh) {
            held.used = ++uses_;
            ++arrivals_;
            if (changed_.erase(id) > 0) ++moves_;
            bytes_ += stored;
            if (!shard.bytes.mapped) {
                memory_bytes_ += stored;
                arrived = arrived_;
            }
        } else if (shard.bytes.mapped && !held.shard.bytes.mapped) {
            memory_bytes_ -= held.shard.bytes.view.size();
            bytes_ += stored;
            bytes_ -= held.shard.bytes.view.size();
            held.shard = std::move(shard);
            ++moves_;
        }
    }
    if (arrived) arrived();
    return {};
}

bool ShardStore::has(const ShardId& id) const {
    const std::shared_lock lock(mutex_);
    return held_.contains(id);
}

StoredShard ShardStore::get(const ShardId& id) const {
    const std::shared_lock lock(mutex_);
    const auto found = held_.find(id);
    if (found == held_.end()) return {};
    found->second.used = ++uses_;
    return found->second.shard;
}

void ShardStore::on_arrival(std::function<void()> arrived, std::size_t most) {
    const std::unique_lock lock(mutex_);
    arrived_ = std::move(arrived);
    waiting_most_ = most;
}

std::vector<ShardId> ShardStore::in_memory() const {
    std::vector<ShardId> ids;
    const std::shared_lock lock(mutex_);
    if (memory_bytes_ == 0) return ids;
    for (const auto& shard : manifest_.shards) {
        const auto found = held_.find(shard.id);
        if (found != held_.end() && !found->second.shard.bytes.mapped) ids.push_back(shard.id);
    }
    return ids;
}

bool ShardStore::crowded() const {
    const std::shared_lock lock(mutex_);
    return arrived_ && memory_bytes_ > waiting_most_;
}

std::size_t ShardStore::held() const {
    const std::shared_lock lock(mutex_);
    return held_.size();
}

std::uint64_t ShardStore::bytes() const {
    const std::shared_lock lock(mutex_);
    return bytes_;
}

std::uint64_t ShardStore::memory_bytes() const {
    const std::shared_lock lock(mutex_);
    return memory_bytes_;
}

std::vector<ShardId> ShardStore::spare(
    std::span<const ShardId> keep, std::uint64_t bytes, std::size_t most
) const {
    const std::unordered_set<ShardId> kept(keep.begin(), keep.end());
    std::vector<std::pair<std::uint64_t, ShardId>> by_use;
    {
        const std::shared_lock lock(mutex_);
        for (const auto& [id, held] : held_) {
            // To give up a list of extents would make no room.
            const bool frees = held.shard.bytes.mapped && !held.shard.extents;
            if (frees && !kept.contains(id)) by_use.emplace_back(held.used, id);
        }
    }
    std::sort(by_use.begin(), by_use.end());
    std::vector<ShardId> spare;
    std::uint64_t sum = 0;
    for (const auto& [used, id] : by_use) {
        if (sum >= bytes || spare.size() == most) break;
        sum += info(id)->bytes;
        spare.push_back(id);
    }
    return spare;
}

bool ShardStore::drop(const ShardId& id) {
    std::function<void()> arrived;
    {
        const std::unique_lock lock(mutex_);
        const auto found = held_.find(id);
        if (found == held_.end() || !found->second.shard.bytes.mapped) return false;
        bytes_ -= found->second.shard.bytes.view.size();
        held_.erase(found);
        dropped_.push_back(id);
        arrived = arrived_;
    }
    if (arrived) arrived();
    return true;
}

std::vector<std::string> ShardStore::give_up_changed() {
    std::vector<std::string> files;
    std::vector<ShardId> gone;
    std::function<void()> arrived;
    {
        const std::unique_lock lock(mutex_);
        for (const auto& [id, held] : held_) {
            if (held.shard.extents && held.shard.extents->changed()) gone.push_back(id);
        }
        for (const auto& id : gone) {
            const auto at = held_.find(id);
            const auto& [bytes, extents] = at->second.shard;
            files.push_back(extents->changed_file());
            bytes_ -= bytes.view.size();
            if (!bytes.mapped) memory_bytes_ -= bytes.view.size();
            held_.erase(at);
            changed_.insert(id);
            dropped_.push_back(id);
        }
        if (!gone.empty()) arrived = arrived_;
    }
    if (arrived) arrived();
    return files;
}

std::vector<ShardId> ShardStore::take_dropped() {
    const std::unique_lock lock(mutex_);
    return std::exchange(dropped_, {});
}

const ShardInfo* ShardStore::info(const ShardId& id) const {
    const auto found = index_.find(id);
    return found == index_.end() ? nullptr : &manifest_.shards[found->second];
}

ShardView ShardStore::view(const StoredShard& shard) const {
    return view_shard(shard, manifest_);
}

ShardView ShardStore::view(ByteView bytes) const {
    return view_shard(bytes, manifest_);
}

}  // namespace starling::data
