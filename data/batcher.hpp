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
// The samples of a text are windows. A shard of a text is a ring: after its last character that has
// a next one as label comes its first. Each epoch draws from the same seeds where in the ring the
// windows begin, and they follow each other without a gap. So no character comes twice in an epoch.
// The rest, which is shorter than a window, is left out at another place in each epoch. Over many
// epochs all characters come equally often, and at every place of a window.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/sample_order.hpp"
#include "data/shard_store.hpp"

namespace starling::data {

/// Turns bytes into the floats that a model takes: (value / 255 - mean) / stddev.
class Normalizer {
public:
    explicit Normalizer(const Scale& scale);

    /// Requires  as many floats as bytes
    void apply(std::span<const std::uint8_t> values, std::span<float> out) const;

private:
    float scale_;
    float offset_;
};

/// Reads single samples in the form that a model takes.
class SampleReader {
public:
    explicit SampleReader(const Manifest& manifest);

    [[nodiscard]] std::size_t elements() const { return elements_; }

    [[nodiscard]] std::size_t labels() const { return labels_; }  ///< of one sample

    /// Reads a sample and normalises it. Of a text it reads a window, which starts `shift`
    /// characters later than without a shift. A window that passes the shard's end goes on at the
    /// shard's beginning.
    /// Requires  sample < view.samples, shift < 2^63, values.size() == elements(), labels.size() ==
    ///           labels()
    void read(
        const ShardView& view,
        std::size_t sample,
        std::size_t shift,
        std::span<float> values,
        std::span<std::int32_t> labels
    ) const;

private:
    bool text_;
    std::size_t elements_;
    std::size_t labels_;
    Normalizer normalizer_;
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

    /// Fills one batch of N samples: N * sample_elements normalised floats in `values`, and N *
    /// labels_per_sample labels. Continues with the next epoch where one ends. Returns false and
    /// leaves the spans untouched while no sample is held.
    [[nodiscard]] bool next(std::span<float> values, std::span<std::int32_t> labels);

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
    [[nodiscard]] bool draw(std::span<float> values, std::span<std::int32_t> labels);

private:
    struct Slot {
        ShardId id;
        std::shared_ptr<const Bytes> bytes;  ///< null until the store holds it
        ShardView view;
    };

    const ShardStore& store_;
    SampleReader reader_;
    std::vector<Slot> slots_;    ///< by id
    std::size_t missing_ = 0;    ///< slots without bytes
    std::size_t looked_at_ = 0;  ///< what the store held when arrived() found nothing
    SampleOrder order_;
};

/// Copies held test samples in manifest order, for an evaluation. It copies up to `values.size() /
/// elements` samples from index `first` on. Of a text these are the consecutive windows of each
/// shard; the rest at a shard's end, which is shorter than a window, is left out. Returns how many
/// samples it copied: 0 at the end.
[[nodiscard]] std::size_t read_test_samples(
    const ShardStore& store,
    std::size_t first,
    std::span<float> values,
    std::span<std::int32_t> labels
);

}  // namespace starling::data
