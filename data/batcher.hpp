#pragma once

// Minibatches from the shards one peer trains on: each epoch visits every sample of the current set
// once in a seeded shuffle. The set may change at any time; the position survives in a checkpoint.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/rng.hpp"
#include "data/shard_store.hpp"

namespace starling::data {

/// Where a batcher is: enough to resume, small enough for a checkpoint.
struct BatcherPosition {
    std::uint64_t epoch = 0;
    std::uint64_t next = 0;  ///< samples of this epoch already given out
};

/// Thread    compute
class Batcher {
public:
    /// Requires  `store` outlives the batcher
    Batcher(const ShardStore& store, std::uint64_t seed);

    /// Trains on these shards from now on; those not yet held are skipped until they are. A change
    /// keeps the samples of the running epoch that were already given out from coming again where
    /// the shard stays in the set.
    void set_shards(std::span<const ShardId> shards);

    /// Fills one batch: `values` N * sample_elements floats, normalised; `labels` N. Wraps into the
    /// next epoch as needed.
    /// Returns false, leaving the spans untouched, while no sample is held.
    [[nodiscard]] bool next(std::span<float> values, std::span<std::int32_t> labels);

    [[nodiscard]] std::uint64_t samples() const;  ///< in the current set and held
    [[nodiscard]] BatcherPosition position() const;
    void resume(const BatcherPosition& position);

private:
    struct Slot {
        ShardId id;
        std::shared_ptr<const Bytes> bytes;
        std::uint32_t samples = 0;
    };

    const ShardStore& store_;
    std::uint64_t seed_;
    std::vector<Slot> slots_;
    // Further state is the implementer's: the order of the running epoch and what it gave out.
    struct Epoch;
    std::shared_ptr<Epoch> epoch_;
};

/// Copies held test samples in manifest order, for evaluation: up to `values.size() / elements`
/// samples from index `first` on. Returns how many it wrote; 0 at the end.
[[nodiscard]] std::size_t read_test_samples(
    const ShardStore& store,
    std::size_t first,
    std::span<float> values,
    std::span<std::int32_t> labels
);

}  // namespace starling::data
