#pragma once

// The shards that this peer holds, by id. The store has verified each of them.

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <span>
#include <unordered_map>

#include "data/manifest.hpp"
#include "data/shard_view.hpp"

namespace starling::data {

/// Thread    any; a shard does not change after put(), and callers share it by pointer
class ShardStore {
public:
    /// Requires  a manifest that check_manifest accepts; the hash function that made its ids
    ShardStore(const Manifest& manifest, HashFunction sha256);

    /// Takes one shard if its size, hash, header and labels fit the manifest. Takes as long as
    /// hashing the bytes.
    /// Errors    NotFound (its hash is not in the manifest: damaged or foreign), Corrupt (the
    ///           manifest gives another size), BadFormat (header or label); the bytes were dropped
    [[nodiscard]] Result<void> put(Bytes bytes);

    [[nodiscard]] bool has(const ShardId& id) const;

    /// Returns the shard's bytes, or null if it is not held. The pointer keeps the bytes alive.
    [[nodiscard]] std::shared_ptr<const Bytes> get(const ShardId& id) const;

    [[nodiscard]] std::size_t held() const;

    /// Returns what the manifest says about a shard, or null. Valid as long as the store lives.
    [[nodiscard]] const ShardInfo* info(const ShardId& id) const;

    [[nodiscard]] const Manifest& manifest() const { return manifest_; }

    /// Returns a view of a shard's samples.
    /// Requires  bytes that came from get()
    [[nodiscard]] ShardView view(ByteView bytes) const;

private:
    Manifest manifest_;
    HashFunction sha256_;
    std::unordered_map<ShardId, std::size_t> index_;  ///< into manifest_.shards
    mutable std::shared_mutex mutex_;
    std::unordered_map<ShardId, std::shared_ptr<const Bytes>> held_;
};

}  // namespace starling::data
