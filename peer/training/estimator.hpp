#pragma once

// The estimate of a training peer. Accuracy and loss are a running mean over evaluations of one batch of
// test samples each. The quality that the swarm watches comes from a tally over the last batches, because
// an area under a curve of 256 rows with three frauds says nothing. An evaluation of all held samples
// replaces the estimate. Where a split is too large for everybody, all this is over the share of it that this peer
// holds (data/shares.hpp).
//
// Thread    compute

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/running_mean.hpp"
#include "compute/metrics/quality.hpp"
#include "peer/terms/training.hpp"
#include "peer/training/evaluation.hpp"

namespace starling::peer {

struct Estimate {
    std::optional<double> accuracy;  ///< nothing where labels are numbers
    double loss = 0.0;
    /// Nothing without a watched quality, and where the last samples cannot tell it.
    std::optional<compute::Quality> quality;
};

class Estimator {
public:
    /// Watches a quality from now on, besides accuracy and loss.
    void watch(compute::QualityKind kind);

    /// Begins at a batch of the test set that `seed` draws, so that a majority of peers has seen more
    /// of the test set than one peer has.
    /// Requires  `shards` outlives the estimator
    Estimator(const data::ShardStore& shards, std::size_t batch, std::uint64_t seed);

    /// Judges by these portions from now on where their splits are divided; null: by all that is held.
    void judge_by(std::shared_ptr<const std::vector<JudgedPortion>> share);

    /// Evaluates the next batch of the held test samples; after the last one comes the first one.
    /// Returns whether there is a new estimate: not where no test samples are held, or where the
    /// engine was interrupted. Blocks as long as the engine computes, as evaluate_all() does.
    bool evaluate_next(compute::Engine& engine, const std::atomic<bool>& stop);

    /// Evaluates all samples that are held of the split that targets are held against. If there are any,
    /// the result is the new estimate. If `stop` is true afterwards, the result is that of a part.
    [[nodiscard]] Examined evaluate_all(compute::Engine& engine, const std::atomic<bool>& stop);

    /// Evaluates all samples that are held of the test split where targets are held against another one;
    /// the estimate stays. Returns nothing where it is the same split.
    [[nodiscard]] std::optional<Examined> evaluate_test(
        compute::Engine& engine, const std::atomic<bool>& stop
    );

    /// Returns what the evaluations of all have found in each portion that is whole, since the last call.
    [[nodiscard]] std::vector<PortionWord> take_words() { return std::exchange(words_, {}); }

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

    struct Found {
        Examined examined;
        std::size_t samples = 0;
        Judge judge;
    };

    [[nodiscard]] Found examine(
        Evaluation& evaluation,
        data::Split split,
        compute::Engine& engine,
        const std::atomic<bool>& stop
    );
    void examine_portion(
        const JudgedPortion& portion, const Evaluated& part, const Judge& judge, Found& found
    );
    [[nodiscard]] bool divided(data::Split split) const;
    [[nodiscard]] bool holds(const JudgedPortion& portion) const;
    void begin_at_share();
    void count_part();
    [[nodiscard]] std::optional<compute::Quality> quality() const;

    /// Batches of one tally. The estimate is that of the present tally and of the one before, so it is
    /// over one to two times as many.
    static constexpr std::size_t kTallyBatches = 16;

    const data::ShardStore& shards_;
    std::shared_ptr<const std::vector<JudgedPortion>> share_;
    std::vector<PortionWord> words_;
    std::size_t all_;
    std::size_t batch_;
    Evaluation evaluation_;
    std::size_t next_ = 0;  ///< the test sample with which the next evaluation begins
    bool known_ = false;
    bool has_accuracy_ = false;
    std::optional<Fault> fault_;
    RunningMean accuracy_;
    RunningMean loss_;
    std::optional<compute::QualityKind> watched_;
    std::optional<Judge> recent_;  ///< of the last batches, where a quality is watched
    std::optional<Judge> before_;  ///< of those before them
    std::size_t parts_ = 0;        ///< batches in `recent_`
};

}  // namespace starling::peer
