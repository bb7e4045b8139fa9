#pragma once

// The shards that this peer holds, by id. The store has verified each of them.

#include <atomic>
#include <cstdint>
#include <functional>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/shared_bytes.hpp"
#include "data/manifest.hpp"
#include "data/shard_view.hpp"
#include "data/stored_shard.hpp"

namespace starling::data {

/// With a cache, so many bytes of shards wait in memory until they are written, and no more shards are
/// fetched meanwhile. Two of the largest shards fit.
inline constexpr std::size_t kWaitingBytesMax = std::size_t{32} << 20U;

/// A shard lies in memory, or in a file of the cache that is mapped. Whoever keeps the cache moves
/// shards from memory into files: they then have the same bytes at another place. Of a shard whose records stay in
/// a user's own files the same is done with the list of extents (data/shard_extents.hpp).
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

    [[nodiscard]] Result<void> put(SharedBytes bytes) { return put(whole_shard(std::move(bytes))); }

    /// The same of a shard that may lie in users' files. These are read whole.
    /// Errors    those of ShardExtents::read, too
    [[nodiscard]] Result<void> put(StoredShard shard);

    /// As put(), of a shard whose hash is known, without hashing it. Bytes that are mapped replace
    /// those of the same shard in memory.
    /// Requires  bytes with this hash
    /// Errors    as put()
    [[nodiscard]] Result<void> put_known(const ShardId& id, SharedBytes bytes) {
        return put_known(id, whole_shard(std::move(bytes)));
    }

    [[nodiscard]] Result<void> put_known(const ShardId& id, StoredShard shard);

    [[nodiscard]] bool has(const ShardId& id) const;

    /// Returns the shard, or none if it is not held.
    [[nodiscard]] StoredShard get(const ShardId& id) const;

    [[nodiscard]] std::size_t held() const;

    /// Returns the bytes of all shards that are held, in memory and in files; of one that lies in users'
    /// files those of its list.
    [[nodiscard]] std::uint64_t bytes() const;

    /// Returns the bytes of those that lie in memory.
    [[nodiscard]] std::uint64_t memory_bytes() const;

    /// Returns a number that rises with each shard that comes. held() may fall meanwhile.
    [[nodiscard]] std::uint64_t arrivals() const { return arrivals_; }

    /// Returns shards that lie in files and are not in `keep`, and whose bytes were asked for longest
    /// ago: as few as have `bytes` together, and no more than `most`.
    [[nodiscard]] std::vector<ShardId> spare(
        std::span<const ShardId> keep, std::uint64_t bytes, std::size_t most
    ) const;

    /// Gives up a shard that lies in a file. Who has its bytes may go on to use them. Returns false
    /// if it is not held, or lies in memory still: then its file is about to be written.
    bool drop(const ShardId& id);

    /// Gives up the shards in users' files of which a read has failed: they are no longer what was hashed.
    /// Returns one file of each.
    std::vector<std::string> give_up_changed();

    /// Returns the shards that were given up since the last call. Their files can go.
    [[nodiscard]] std::vector<ShardId> take_dropped();

    /// Returns how often a shard has moved into a file, or was there again after it was given up as changed. Who
    /// holds bytes for long asks for them again then, or their memory is never free.
    [[nodiscard]] std::uint64_t moves() const { return moves_; }

    /// Calls `arrived` whenever a shard has come into memory or was given up, on the thread that did it. With
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

    /// Returns a view of a shard's samples. It is valid as long as the shard is held by somebody.
    /// Requires  a shard that came from get()
    [[nodiscard]] ShardView view(const StoredShard& shard) const;

    /// Requires  the bytes of a shard of this manifest
    [[nodiscard]] ShardView view(ByteView bytes) const;

private:
    struct Held {
        StoredShard shard;
        /// When they were asked for last, as a number of `uses_`. Readers share the lock.
        mutable std::atomic<std::uint64_t> used{0};

        explicit Held(StoredShard of) : shard(std::move(of)) {}
    };

    Manifest manifest_;
    HashFunction sha256_;
    std::unordered_map<ShardId, std::size_t> index_;  ///< into manifest_.shards
    mutable std::shared_mutex mutex_;
    std::unordered_map<ShardId, Held> held_;
    std::vector<ShardId> dropped_;
    std::unordered_set<ShardId> changed_;  ///< given up as such, and not there again
    std::size_t memory_bytes_ = 0;         ///< of the shards that lie in memory
    std::uint64_t bytes_ = 0;              ///< of all
    mutable std::atomic<std::uint64_t> uses_{0};
    std::atomic<std::uint64_t> arrivals_{0};
    std::function<void()> arrived_;
    std::size_t waiting_most_ = kWaitingBytesMax;
    std::atomic<std::uint64_t> moves_{0};
};

}  // namespace starling::data
