#pragma once

// How good a model is on the test samples that are held here: the one loop that a trainer and
// `starling eval` share.
//
// Thread    compute

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "compute/training/engine.hpp"
#include "data/shard_store.hpp"

namespace starling::peer {

/// What was found, and of how many samples. `result` counts labels, of which a window of a text has
/// many and other samples have one.
struct Evaluated {
    compute::EvalResult result;
    std::size_t samples = 0;
};

class Evaluation {
public:
    /// Evaluates `batch` samples at a time. Requires that `shards` outlives it.
    Evaluation(const data::ShardStore& shards, std::size_t batch);

    /// Evaluates up to `count` test samples, the first of them number `first`. It ends earlier
    /// where the samples end, where the engine is interrupted, and at the next batch once `stop` is
    /// true. Takes as long as the engine needs for them.
    [[nodiscard]] Evaluated run(
        compute::Engine& engine, std::size_t first, std::size_t count, const std::atomic<bool>& stop
    );

private:
    const data::ShardStore& shards_;
    std::size_t batch_;
    std::size_t elements_;  ///< values of a sample
    std::size_t labels_per_sample_;
    std::vector<float> values_;
    std::vector<std::int32_t> labels_;
};

}  // namespace starling::peer
