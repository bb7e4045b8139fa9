#pragma once

// The shards that this peer holds, by id. The store has verified each of them.

#include <atomic>
#include <cstdint>
#include <functional>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/shared_bytes.hpp"
#include "data/manifest.hpp"
#include "data/shard_view.hpp"

namespace starling::data {

/// With a cache, so many bytes of shards wait in memory until they are written, and no more shards are
/// fetched meanwhile. Two of the largest shards fit.
inline constexpr std::size_t kWaitingBytesMax = std::size_t{32} << 20U;

/// A shard lies in memory, or in a file of the cache that is mapped. Whoever keeps the cache moves
/// shards from memory into files: they then have the same bytes at another place.
///
/// Thread    any; a shard's bytes do not change, and callers share them
class ShardStore {
public:
    /// Requires  a manifest that check_manifest accepts; the hash function that made its ids
    ShardStore(const Manifest& manifest, HashFunction sha256);

    /// Takes one shard if its size, hash, header and labels fit the manifest. Takes as long as
    /// hashing the bytes.
    /// Errors    NotFound (its hash is not in the manifest: damaged or foreign), Corrupt (the
    ///           manifest gives another size), BadFormat (header or label); the bytes were dropped
    [[nodiscard]] Result<void> put(Bytes bytes) { return put(share(std::move(bytes))); }

    [[nodiscard]] Result<void> put(SharedBytes bytes);

    /// As put(), of a shard whose hash is known, without hashing it. Bytes that are mapped replace
    /// those of the same shard in memory.
    /// Requires  bytes with this hash
    /// Errors    as put()
    [[nodiscard]] Result<void> put_known(const ShardId& id, SharedBytes bytes);

    [[nodiscard]] bool has(const ShardId& id) const;

    /// Returns the shard's bytes, or none if it is not held.
    [[nodiscard]] SharedBytes get(const ShardId& id) const;

    [[nodiscard]] std::size_t held() const;

    /// Returns how often a shard has moved into a file. Who holds bytes for long asks for them again
    /// then, or their memory is never free.
    [[nodiscard]] std::uint64_t moves() const { return moves_; }

    /// Calls `arrived` whenever a shard has come into memory, on the thread that has brought it. With
    /// an empty function nobody keeps a cache, and shards stay in memory.
    /// The store is crowded when more than `most` bytes lie there.
    void on_arrival(std::function<void()> arrived, std::size_t most = kWaitingBytesMax);

    /// Returns the shards that lie in memory, in the order of the manifest.
    [[nodiscard]] std::vector<ShardId> in_memory() const;

    /// Returns whether so many bytes lie in memory that no more should come before some are written.
    /// It never is where nobody keeps a cache.
    [[nodiscard]] bool crowded() const;

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
    std::unordered_map<ShardId, SharedBytes> held_;
    std::size_t memory_bytes_ = 0;  ///< of the shards that lie in memory
    std::function<void()> arrived_;
    std::size_t waiting_most_ = kWaitingBytesMax;
    std::atomic<std::uint64_t> moves_{0};
};

}  // namespace starling::data
