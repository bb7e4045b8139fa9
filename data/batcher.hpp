#pragma once

// Minibatches from the shards that one peer trains on. Each epoch visits every sample of the
// current set once, in a seeded shuffle. The set may change at any time, and a checkpoint keeps the
// position.
//
// The shuffle sorts samples by a key, which is a hash of seed, epoch, shard and index. An epoch
// goes through the keys in ascending order (data/sample_order.hpp). So one number says which samples were given out, even
// if the set has changed: those with a smaller key. A shard that stays never repeats a sample. A
// shard that comes in the middle of an epoch contributes the samples whose keys are above the
// number, a fair subset, and all its samples from the next epoch on. A resumed batcher continues
// exactly where it was.
//
// All peers of a swarm shuffle with one seed, so a number means the same at each of them. A shard can
// come with the place up to which its owners before have trained on it. Then it goes on from there: if
// that is behind the others, they wait until it has caught up, and if it is ahead, it waits for them. So
// none of its samples is left out, and none comes twice (docs/decisions/0032-hand-over.md).
//
// The samples of a text are windows. A shard of a text is a ring: after its last character that has
// a next one as label comes its first. Each epoch draws from the same seeds where in the ring the
// windows begin, and they follow each other without a gap. So no character comes twice in an epoch.
// The rest, which is shorter than a window, is left out at another place in each epoch. Over many
// epochs all characters come equally often, and at every place of a window.

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/preparation.hpp"
#include "data/sample_order.hpp"
#include "data/shard_store.hpp"

namespace starling::data {

/// A shard, and the place from which on its samples are to be given; none: it is not known.
struct ShardStart {
    ShardId id;
    std::optional<EpochPlace> from = std::nullopt;

    friend bool operator==(const ShardStart&, const ShardStart&) = default;
};

/// How far a shard of the set is: up to `from`, and if it is held, up to the batcher's position where
/// that is further.
struct ShardPlace {
    ShardId id;
    EpochPlace from;
    bool held = false;
};

/// Thread    compute; under a Prefetcher see there
class Batcher {
public:
    /// Requires  `store` outlives the batcher
    Batcher(const ShardStore& store, std::uint64_t seed);

    /// Gives samples of these shards from now on. A shard that the store does not hold yet is
    /// skipped until it does. Shards that stay in the set do not repeat the samples that they gave
    /// in this epoch. An id that is given twice counts once.
    /// Requires  ids of the manifest
    void set_shards(std::span<const ShardId> shards);

    /// As above, and each shard that comes goes on from its place, or from where it was when it left
    /// the set, whichever is later. One that is known at neither place begins at the position. A later
    /// place is taken for a shard that stays, too.
    void set_shards_from(std::span<const ShardStart> shards);

    /// Returns how far the shards of the set are, in order of id.
    [[nodiscard]] std::vector<ShardPlace> places() const;

    /// Fills one batch of N samples: N times what Preparation says of one. Continues with the next
    /// epoch where one ends. A record that is damaged is left out and counted. Returns false while no
    /// sample is held, or none that can be read; what the spans hold is then unspecified.
    [[nodiscard]] bool next(const SampleOut& out);

    /// Returns how many records were left out because they are damaged.
    /// Thread    any
    [[nodiscard]] std::uint64_t damaged() const { return damaged_; }

    /// Returns what was wrong with the first one, or an empty text.
    /// Thread    that which draws
    [[nodiscard]] const std::string& first_damage() const { return first_damage_; }

    [[nodiscard]] std::uint64_t samples() const;  ///< of the current set, those that are held

    [[nodiscard]] BatcherPosition position() const { return order_.position(); }

    /// Continues at a position, in its shuffle. A position without a seed is one in ours.
    void resume(const BatcherPosition& position) { order_.resume(position); }

    // next() in two parts, for a Prefetcher, whose thread draws and whose caller looks for arrivals.

    /// Returns whether a shard of the set has arrived that take_arrivals() has not taken. It may be
    /// called while another thread draws.
    [[nodiscard]] bool arrived();

    /// Draws from the shards that have arrived, too, from now on.
    void take_arrivals();

    /// As next(), without a look for arrivals.
    [[nodiscard]] bool draw(const SampleOut& out);

private:
    struct Slot {
        ShardId id;
        /// Its samples before this place are not ours to give; nothing: those before its arrival.
        std::optional<EpochPlace> from;
        bool held = false;  ///< the store has it, and samples of it are drawn
        StoredShard shard;  ///< of the thread that draws; none until it is held
        ShardView view;     ///< likewise
    };

    const ShardStore& store_;
    [[nodiscard]] bool draw_one(const SampleOut& out);
    void follow_moves();
    void replace(std::vector<ShardStart> shards, bool resumes);

    Preparation preparation_;
    std::vector<Slot> slots_;             ///< by id
    std::size_t missing_ = 0;             ///< slots that are not held
    std::uint64_t moves_ = 0;             ///< of the store, when the slots got their bytes
    std::uint64_t looked_at_ = 0;         ///< arrivals() of the store when arrived() found nothing
    std::map<ShardId, EpochPlace> left_;  ///< how far shards were when they left the set
    SampleOrder order_;
    std::atomic<std::uint64_t> damaged_{0};
    std::string first_damage_;
};

/// What read_samples has done.
struct SamplesRead {
    std::size_t passed = 0;  ///< samples that it went over: 0 at the end
    std::size_t filled = 0;  ///< of these, the ones that could be read and were copied
};

/// Returns the shards of a split, in manifest order.
[[nodiscard]] std::vector<ShardId> shards_of(const Manifest& manifest, Split split);

/// Copies held samples of a split in manifest order, as they are, for an evaluation: up to `count` of
/// them from index `first` on. Of a text these are the consecutive windows of each shard; the rest
/// at a shard's end, which is shorter than a window, is left out.
/// Requires  room for `count` samples
[[nodiscard]] SamplesRead read_samples(
    const ShardStore& store,
    Preparation& preparation,
    Split split,
    std::size_t first,
    std::size_t count,
    const SampleOut& out
);

/// Likewise of some shards, in their order, as far as they are held.
[[nodiscard]] SamplesRead read_samples(
    const ShardStore& store,
    Preparation& preparation,
    std::span<const ShardId> shards,
    std::size_t first,
    std::size_t count,
    const SampleOut& out
);

}  // namespace starling::data
