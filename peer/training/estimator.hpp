#pragma once

// The estimate of a training peer: a running mean over evaluations of one batch of test samples
// each. An evaluation of the whole test set replaces it.
//
// Thread    compute

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/running_mean.hpp"
#include "peer/training/evaluation.hpp"

namespace starling::peer {

struct Estimate {
    double accuracy = 0.0;
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

    /// Nothing until the first evaluation, and after forget().
    [[nodiscard]] std::optional<Estimate> estimate() const;

    /// The parameters are others now, so the evaluations so far say nothing.
    void forget();

private:
    [[nodiscard]] double weight(std::size_t samples) const;

    std::size_t all_;
    std::size_t batch_;
    Evaluation evaluation_;
    std::size_t next_ = 0;  ///< the test sample with which the next evaluation begins
    bool known_ = false;
    RunningMean accuracy_;
    RunningMean loss_;
};

}  // namespace starling::peer
