#pragma once

// The order in which an epoch gives samples, without a list of the epoch in memory.
//
// A sample's key is a hash of seed, epoch, shard and index, uniform in [0, 2^63). An epoch goes
// through the keys in ascending order. The key space is cut in slices. Two slices are in memory: the
// running one, from which samples are drawn, and the coming one, which is listed meanwhile. To list
// a slice is to compute the keys of all samples and to take those in its range. Each draw pays a
// share of that, so that the coming slice is complete just when the running one ends. Nothing waits
// for a whole pass but the first draw after the start, or after a jump to another slice.
//
// A change of the shard set costs the changed shards: entries of lost shards leave both slices, and
// keys of new shards join the running one. What was listed of the shards that stay is kept.
//
// The cuts depend on the number of samples, and nothing else depends on the cuts: the sequence is
// that of a full sort by (key, shard id, index).
//
// Memory: 8 B for each entry of two slices, which is 0.07 B for each sample of 10 million; and 48 B
// for each shard. Time: docs/decisions/0024-slices-of-an-epoch.md.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "data/manifest.hpp"

namespace starling::data {

/// Where a batcher is. A checkpoint keeps this to resume.
struct BatcherPosition {
    std::uint64_t epoch = 0;
    /// The samples of this epoch with a key below this number were given out. Keys are uniform in
    /// [0, 2^63), so about next / 2^63 of the epoch is done.
    std::uint64_t next = 0;
    /// The seed of the shuffle, without which the other two say nothing. Checkpoints of older
    /// releases do not have it.
    std::optional<std::uint64_t> seed = std::nullopt;

    friend bool operator==(const BatcherPosition&, const BatcherPosition&) = default;
};

/// A place in the order of epochs: what comes before it are the earlier epochs, and of this one the
/// samples with a key below `next`.
struct EpochPlace {
    std::uint64_t epoch = 0;
    std::uint64_t next = 0;

    friend auto operator<=>(const EpochPlace&, const EpochPlace&) = default;
};

[[nodiscard]] constexpr EpochPlace place_of(const BatcherPosition& position) {
    return {position.epoch, position.next};
}

/// One shard of the set. Without samples it is there, but not held yet.
struct OrderedShard {
    ShardId id;
    std::uint32_t samples = 0;
    EpochPlace from = {};  ///< its samples before this place are not given
};

/// One sample that is given out.
struct SampleDraw {
    std::uint32_t slot = 0;    ///< index of its shard in the set
    std::uint32_t sample = 0;  ///< index in its shard
    /// The number from which everything random about the whole shard is drawn in this epoch.
    std::uint64_t shard_seed = 0;
    /// The number from which everything random about this sample is drawn in this epoch. It depends
    /// on seed, epoch, shard and index alone.
    std::uint64_t seed = 0;
};

/// How large slices are. The order of samples does not depend on it.
struct SliceLimits {
    std::uint64_t samples_min = 32 * 1024;
    /// No more slices than these, unless one would have more than `samples_max` samples: each slice
    /// costs a pass over all samples, and two of them are in memory.
    std::uint64_t slices_usual = 256;
    std::uint64_t samples_max = 1024 * 1024;
};

/// Thread    any, one at a time
class SampleOrder {
public:
    /// Requires  limits above zero
    explicit SampleOrder(std::uint64_t seed, SliceLimits limits = {});

    /// Replaces the set. Of a shard that stays nothing comes again in this epoch; a shard that comes
    /// contributes the samples whose keys are not below the position. The time is that of hashing
    /// the new shards' samples (about 2 ns each) and of one pass over a slice.
    /// Requires  ascending ids without repetition; a shard that stays and had samples has as many, and
    ///           begins no later than at the position, or where it did
    void set(std::vector<OrderedShard> shards);

    /// As set(), and continues at another place. Costs a pass over all samples at the next draw.
    void set_at(std::vector<OrderedShard> shards, const EpochPlace& place);

    /// Gives the next sample, or nothing if the set has none. Continues with the next epoch where
    /// one ends.
    [[nodiscard]] std::optional<SampleDraw> next();

    [[nodiscard]] const BatcherPosition& position() const { return position_; }

    /// Continues at a position, in its shuffle. A position without a seed is one in ours. A jump
    /// within the running slice is cheap; any other costs a pass over all samples at the next draw.
    void resume(const BatcherPosition& position);

    [[nodiscard]] std::uint64_t samples() const { return samples_; }

    /// Returns how much memory the lists have allocated.
    [[nodiscard]] std::size_t memory_bytes() const;

private:
    static constexpr std::uint32_t kBlock = 1024;

    struct Entry {
        std::uint32_t slot;
        std::uint32_t sample;
    };

    struct KeyedEntry {
        std::uint64_t key;
        Entry entry;
    };

    /// The samples with keys in [begin, end).
    struct Slice {
        std::uint64_t epoch = 0;
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        std::vector<Entry> entries;
    };

    struct Change;

    void start();
    void turn();
    void begin_coming(std::uint64_t epoch, std::uint64_t begin);
    void list(std::uint64_t keys);
    void scan(std::uint32_t slot, std::uint32_t from, std::uint32_t to, Slice& into);
    [[nodiscard]] std::uint64_t slice_end(std::uint64_t begin) const;
    [[nodiscard]] Change change_to(const std::vector<OrderedShard>& shards) const;
    void change_running(const Change& change);
    void change_coming(const Change& change);

    void arrange();
    bool sort_next_bucket();
    void seek();
    void draw_seeds();
    [[nodiscard]] std::uint64_t epoch_seed(std::uint64_t epoch) const;
    [[nodiscard]] std::uint64_t key_of(Entry entry) const;
    [[nodiscard]] std::size_t bucket_of(std::uint64_t key) const;

    SliceLimits limits_;
    std::vector<OrderedShard> shards_;
    std::uint64_t samples_ = 0;
    BatcherPosition position_;
    bool started_ = false;  ///< the slices fit the position

    // The running slice is sorted by buckets of its keys, and each bucket when it is reached. Given
    // entries stay until the slice ends, so that a jump back is cheap.
    Slice running_;
    std::vector<std::uint64_t> seeds_;  ///< of each shard, in the running epoch
    std::vector<std::uint32_t> bucket_ends_;
    unsigned bucket_shift_ = 0;
    std::size_t bucket_ = 0;  ///< the first one that is not in ready_ yet
    std::vector<KeyedEntry> ready_;
    std::size_t ready_at_ = 0;

    // The coming slice is listed a block of indices at a time, and of each block shard by shard.
    Slice coming_;
    std::vector<std::uint32_t> listed_;  ///< the samples of each shard that were hashed
    std::uint64_t unlisted_ = 0;         ///< the samples that were not, in all
    std::uint32_t block_ = 0;
    std::uint32_t listing_slot_ = 0;

    // Hashes of the indices of one block, which are the same for every shard.
    std::array<std::uint64_t, kBlock> hashes_{};
    std::optional<std::uint32_t> hashed_block_;
};

}  // namespace starling::data
