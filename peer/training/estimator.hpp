#pragma once

// The estimate of a training peer: a running mean over evaluations of one batch of test samples
// each. An evaluation of the whole test set replaces it.
//
// Thread    compute

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/result.hpp"
#include "base/running_mean.hpp"
#include "peer/training/evaluation.hpp"

namespace starling::peer {

struct Estimate {
    std::optional<double> accuracy;  ///< nothing where labels are numbers
    double loss = 0.0;
};

class Estimator {
public:
    /// Begins at a batch of the test set that `seed` draws, so that a majority of peers has seen more
    /// of the test set than one peer has.
    /// Requires  `shards` outlives the estimator
    Estimator(const data::ShardStore& shards, std::size_t batch, std::uint64_t seed);

    /// Evaluates the next batch of the held test samples; after the last one comes the first one.
    /// Returns whether there is a new estimate: not where no test samples are held, or where the
    /// engine was interrupted. Blocks as long as the engine computes, as evaluate_all() does.
    bool evaluate_next(compute::Engine& engine, const std::atomic<bool>& stop);

    /// Evaluates all test samples that are held. If there are any, the result is the new estimate.
    /// If `stop` is true afterwards, the result is that of a part.
    [[nodiscard]] compute::EvalResult evaluate_all(
        compute::Engine& engine, const std::atomic<bool>& stop
    );

    /// Returns why test samples were refused since the last call; nothing if none were.
    [[nodiscard]] std::optional<Fault> take_fault() { return std::exchange(fault_, std::nullopt); }

    /// Nothing until the first evaluation, and after forget().
    [[nodiscard]] std::optional<Estimate> estimate() const;

    /// The parameters are others now, so the evaluations so far say nothing.
    void forget();

private:
    /// Runs the evaluation and remembers a fault.
    [[nodiscard]] Evaluated evaluate(
        compute::Engine& engine, std::size_t first, std::size_t count, const std::atomic<bool>& stop
    );
    [[nodiscard]] double weight(std::size_t samples) const;

    std::size_t all_;
    std::size_t batch_;
    Evaluation evaluation_;
    std::size_t next_ = 0;  ///< the test sample with which the next evaluation begins
    bool known_ = false;
    bool has_accuracy_ = false;
    std::optional<Fault> fault_;
    RunningMean accuracy_;
    RunningMean loss_;
};

}  // namespace starling::peer
