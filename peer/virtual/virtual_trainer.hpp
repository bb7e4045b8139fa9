#pragma once

// The compute thread in virtual time: it obeys the same orders and gives the same reports as the
// real trainer, and its steps, evaluations and checkpoints take time. What it trains is simple: a
// step goes a part of the way to the best parameters, which are zero, and adds noise. So the loss is
// the mean of their squares, averaging lowers it, and every node measures nearly the same.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/instant.hpp"
#include "base/rng.hpp"
#include "data/batcher.hpp"
#include "data/shard_store.hpp"
#include "peer/terms/training.hpp"
#include "peer/virtual/float_vector.hpp"
#include "peer/virtual/training_options.hpp"

namespace starling::peer_virtual {

/// Thread    the owner
class VirtualTrainer {
public:
    /// `before` has the counters of earlier lives. A trainer with `steps_limit` rests after so many
    /// steps; 0: no limit. With `sync` it waits for each round, at most a minute.
    /// Requires  `shards` and `parameters` outlive the trainer
    VirtualTrainer(
        const TrainingOptions& options,
        bool sync,
        const data::ShardStore& shards,
        FloatVector& parameters,
        std::uint64_t shuffle,
        Rng rng
    );

    /// Starts to prepare.
    void begin(Instant now, const peer::TrainerReport& before);

    void handle_order(Instant now, peer::TrainerOrder order);
    /// A round is over.
    void handle_mixed(Instant now, std::uint64_t round);

    /// Where exchanges go by time: the next is due at the first end of a step from then on.
    void handle_mix_from(Instant from) { mix_from_ = from; }

    void handle_timeout(Instant now);

    [[nodiscard]] std::optional<peer::TrainerReport> poll_report();
    /// Returns the number of the round when an exchange is due.
    [[nodiscard]] std::optional<std::uint64_t> poll_mix_due();
    /// Returns the counters to write when a checkpoint has been on its way to the disk for as long
    /// as that takes.
    [[nodiscard]] std::optional<peer::TrainerReport> poll_checkpoint();

    [[nodiscard]] std::optional<Instant> poll_timeout() const { return due_; }

    /// From now on each step takes so many times as long.
    void slow_down(double factor) { slowness_ = factor; }

    [[nodiscard]] bool steps_now() const { return activity_ == Activity::Step; }

    /// Returns the counters of the checkpoint that is being written, if one is.
    [[nodiscard]] std::optional<peer::TrainerReport> writing() const;

    /// Returns what a last checkpoint would contain, or nothing if there is nothing to keep.
    [[nodiscard]] std::optional<peer::TrainerReport> last_checkpoint() const;

private:
    enum class Activity : std::uint8_t { Prepare, Idle, Step, WaitForMix, Evaluate, Checkpoint };

    void obey(Instant now, const peer::TrainerOrder& order);
    void next(Instant now);
    void step(Instant now);
    void evaluate();
    void evaluate_share(double loss);
    bool draw();
    [[nodiscard]] bool exchange_due(Instant now);
    void report(Instant now, bool always);
    [[nodiscard]] bool holds_samples() const;
    [[nodiscard]] Duration drawn(Duration median);

    [[nodiscard]] bool keeps() const {
        return current_.keep && current_.shards_version > 0 && !report_.diverged;
    }

    TrainingOptions options_;
    bool sync_;
    const data::ShardStore& shards_;
    FloatVector& parameters_;
    Rng rng_;
    std::optional<data::Batcher> batches_;  ///< where options say so
    std::vector<float> values_;
    std::vector<std::int32_t> labels_;
    Activity activity_ = Activity::Prepare;
    std::optional<Instant> due_;
    std::optional<peer::TrainerOrder> pending_;
    peer::TrainerOrder current_;
    peer::TrainerReport report_;
    peer::TrainerReport writing_;
    bool report_due_ = false;
    bool written_ = false;
    std::optional<std::uint64_t> mix_due_;
    std::uint64_t round_ = 0;  ///< the last that was due
    std::optional<Instant> mix_from_;
    double slowness_ = 1.0;
    Instant reported_;
    Instant estimated_;
    std::optional<Instant> checkpointed_;
};

}  // namespace starling::peer_virtual
