#include "data/shard_store.hpp"

#include <mutex>

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

Result<void> ShardStore::put(Bytes bytes) {
    // We refuse it before we hash it: no shard is so large, and hashing takes time.
    if (bytes.size() > kShardBytesMax) {
        return fail(FaultCode::NotFound, "a shard larger than 16 MiB is in no manifest");
    }
    const ShardId id{sha256_(bytes)};
    const ShardInfo* known = info(id);
    if (known == nullptr) {
        return fail(
            FaultCode::NotFound,
            "shard " + id.short_string() +
                ": not in the manifest; it was changed on its way or "
                "belongs to another swarm"
        );
    }
    if (bytes.size() != known->bytes) {
        return fail(
            FaultCode::Corrupt, "shard " + id.short_string() + ": the manifest gives another size"
        );
    }
    if (auto sound = open_shard(bytes, *known, manifest_); !sound) return sound.error();
    auto shared = std::make_shared<const Bytes>(std::move(bytes));
    const std::unique_lock lock(mutex_);
    held_.try_emplace(id, std::move(shared));
    return {};
}

bool ShardStore::has(const ShardId& id) const {
    const std::shared_lock lock(mutex_);
    return held_.contains(id);
}

std::shared_ptr<const Bytes> ShardStore::get(const ShardId& id) const {
    const std::shared_lock lock(mutex_);
    const auto found = held_.find(id);
    return found == held_.end() ? nullptr : found->second;
}

std::size_t ShardStore::held() const {
    const std::shared_lock lock(mutex_);
    return held_.size();
}

const ShardInfo* ShardStore::info(const ShardId& id) const {
    const auto found = index_.find(id);
    return found == index_.end() ? nullptr : &manifest_.shards[found->second];
}

ShardView ShardStore::view(ByteView bytes) const {
    return view_shard(bytes, manifest_);
}

}  // namespace starling::data
