#pragma once

// Evaluates a model on the test samples that this peer holds. A trainer and `starling eval` share
// this loop.
//
// Thread    compute

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "compute/training/engine.hpp"
#include "data/preparation.hpp"
#include "data/shard_store.hpp"
#include "peer/training/judge.hpp"

namespace starling::peer {

/// The result of an evaluation, and the number of its samples. `result` counts labels: a window of
/// a text has many, any other sample has one.
struct Evaluated {
    compute::EvalResult result;
    std::size_t samples = 0;  ///< those that were read, with the refused ones
    /// Why the engine refused the first batch that it refused. None of the batch's samples counts
    /// in `result`.
    std::optional<Fault> fault;
};

class Evaluation {
public:
    /// Evaluates `batch` samples of a split at a time. Requires that `shards` outlives it.
    Evaluation(const data::ShardStore& shards, std::size_t batch, data::Split split);

    /// Evaluates up to `count` test samples from number `first` on. It ends earlier if the samples
    /// end, if the engine is interrupted, or at the next batch after `stop` becomes true. Blocks as
    /// long as the engine computes.
    [[nodiscard]] Evaluated run(
        compute::Engine& engine, std::size_t first, std::size_t count, const std::atomic<bool>& stop
    );

    /// Judges by these shards from now on, in their order, instead of all of the split.
    void judge_only(std::vector<ShardId> shards) { judged_ = std::move(shards); }

    /// Hands all answers on to `judge` from now on, which outlives this; null: to nobody.
    void judge_by(Judge* judge) { judge_ = judge; }

private:
    const data::ShardStore& shards_;
    std::size_t batch_;
    std::vector<ShardId> judged_;
    data::Preparation preparation_;
    std::vector<float> values_;
    std::vector<std::int32_t> labels_;
    std::vector<float> targets_;
    Judge* judge_ = nullptr;
};

}  // namespace starling::peer
