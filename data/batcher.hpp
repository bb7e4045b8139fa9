#pragma once

// Minibatches from the shards one peer trains on: each epoch visits every sample of the current set
// once in a seeded shuffle. The set may change at any time; the position survives in a checkpoint.
//
// The shuffle sorts samples by a key, a hash of seed, epoch, shard and index, and an epoch walks
// through the keys in ascending order. So one number says what was given out, whatever the set was
// and became meanwhile: everything below it. A shard that stays never repeats a sample; a shard
// that comes in the middle of an epoch contributes its keys above the number, a fair sample of it,
// and all of itself from the next epoch on; and a resumed batcher goes on exactly where it was.
//
// A text's samples are windows. Each epoch lays its windows over a shard from another first
// character on, drawn from the same seeds: so every character comes once an epoch, as samples do,
// but over the epochs in each place of a window.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/shard_store.hpp"

namespace starling::data {

/// Where a batcher is: enough to resume, small enough for a checkpoint.
struct BatcherPosition {
    std::uint64_t epoch = 0;
    /// Samples of this epoch whose key is below were already given out. Keys are uniform in
    /// [0, 2^63): next / 2^63 is about the part of the epoch that is done.
    std::uint64_t next = 0;
};

/// Turns bytes into the floats that a model is fed: (value / 255 - mean) / stddev.
class Normalizer {
public:
    explicit Normalizer(const Manifest& manifest);

    /// Requires  as many floats as bytes
    void apply(std::span<const std::uint8_t> values, std::span<float> out) const;

private:
    float scale_;
    float offset_;
};

/// Reads one sample as a model is fed it.
class SampleReader {
public:
    explicit SampleReader(const Manifest& manifest);

    [[nodiscard]] std::size_t elements() const { return elements_; }

    [[nodiscard]] std::size_t labels() const { return labels_; }  ///< of one sample

    /// Reads a sample, normalised; or a text's window, that many characters further on than without
    /// a shift. One that the shift pushes over the shard's end starts at its beginning instead.
    /// Requires  sample < view.samples, shift < elements(); as many floats and labels as one has
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

/// Thread    compute
class Batcher {
public:
    /// Requires  `store` outlives the batcher
    Batcher(const ShardStore& store, std::uint64_t seed);

    /// Trains on these shards from now on; those not yet held are skipped until they are. A change
    /// keeps the samples of the running epoch that were already given out from coming again where
    /// the shard stays in the set. Requires ids of the manifest; an id given twice counts once.
    void set_shards(std::span<const ShardId> shards);

    /// Fills one batch: `values` N * sample_elements floats, normalised; `labels` N *
    /// labels_per_sample. Wraps into the next epoch as needed.
    /// Returns false, leaving the spans untouched, while no sample is held.
    [[nodiscard]] bool next(std::span<float> values, std::span<std::int32_t> labels);

    [[nodiscard]] std::uint64_t samples() const;  ///< in the current set and held

    [[nodiscard]] BatcherPosition position() const { return position_; }

    void resume(const BatcherPosition& position);

private:
    struct Slot {
        ShardId id;
        std::shared_ptr<const Bytes> bytes;  ///< null until the store holds it
        ShardView view;
        std::size_t shift = 0;  ///< of a text's windows in this epoch
    };

    struct Entry {
        std::uint64_t key;
        std::uint32_t slot;
        std::uint32_t sample;
    };

    void take_arrivals();
    void order_rest_of_epoch();
    void pass(const Entry& given);

    const ShardStore& store_;
    std::uint64_t seed_;
    SampleReader reader_;
    std::vector<Slot> slots_;
    std::size_t missing_ = 0;  ///< slots without bytes
    BatcherPosition position_;

    // The rest of the running epoch; rebuilt from the three fields above when stale.
    std::vector<Entry> order_;
    std::size_t cursor_ = 0;
    bool stale_ = true;
};

/// Copies held test samples in manifest order, for evaluation: up to `values.size() / elements`
/// samples from index `first` on. Of a text these are the consecutive windows of each shard; what
/// is left at its end, less than a window, is not judged. Returns how many it wrote; 0 at the end.
[[nodiscard]] std::size_t read_test_samples(
    const ShardStore& store,
    std::size_t first,
    std::span<float> values,
    std::span<std::int32_t> labels
);

}  // namespace starling::data
