#pragma once

// What a session and its trainer tell each other, as plain values: orders go to the trainer,
// reports come back.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "compute/metrics/quality.hpp"
#include "compute/values/eval_result.hpp"
#include "compute/values/norm_moments.hpp"
#include "data/batcher.hpp"
#include "peer/terms/portion_word.hpp"

namespace starling::peer {

/// A peer draws batch norm's statistics from so many batches of its own.
inline constexpr std::size_t kNormBatches = 32;

enum class TrainerPhase : std::uint8_t { Pause, Train, Evaluate, Stop };

/// What the network thread wants. A newer order replaces an older one.
struct TrainerOrder {
    std::uint64_t number = 0;  ///< rises with each order
    TrainerPhase phase = TrainerPhase::Pause;
    std::vector<ShardId> shards;  ///< shards to train on
    /// The same shards, and from where on their samples are to be trained on (data/batcher.hpp). Empty:
    /// from where the trainer is.
    std::vector<data::ShardStart> starts;
    std::uint64_t shards_version = 0;  ///< rises when `shards` changes or when a shard has arrived
    std::uint64_t evaluation = 0;      ///< a new number asks to evaluate on the whole test set
    /// What this peer judges by of the splits that are judged in shares. Null: there are none.
    std::shared_ptr<const std::vector<JudgedPortion>> share;
    /// A new number asks what the batch norms see of our data, with the parameters as they are.
    std::uint64_t norms_draw = 0;
    /// What they are to see from now on, of the draw with this number: then nobody else's statistics
    /// change ours until training goes on. Null: nothing.
    std::uint64_t norms_set = 0;
    std::shared_ptr<const compute::NormMoments> norms;
    std::optional<std::uint64_t> schedule_step;  ///< a newcomer's place in the schedule
    /// The trainer never trains on more samples than these, over all its lives. It rests when the
    /// next batch would, until an order allows more. Nothing: no limit.
    std::optional<std::uint64_t> samples_limit;
    /// A new number says that the parameters were replaced after training had diverged. The trainer
    /// then forgets the optimizer's state.
    std::uint64_t restarts = 0;
    /// The parameters are whole: a checkpoint may be written. They are not while a newcomer, or a
    /// peer that recovers, fetches them.
    bool keep = false;
};

/// What became of the checkpoints of this life.
struct CheckpointReport {
    std::uint64_t written = 0;
    std::uint64_t failed = 0;
    std::string error;  ///< why the newest attempt failed; empty: it did not
    bool last = false;  ///< the one at the end of this life is on the disk
    /// Of what moment the newest one on the disk is, in this life. Nothing: there is none.
    std::optional<Instant> kept_at;
};

/// What became of the files of shards in this life.
struct ShardFileReport {
    std::uint64_t failed = 0;  ///< attempts that found no room, or a disk that does not work
    std::string error;         ///< why the newest attempt failed; empty: it did not
    Duration cpu{};            ///< processor time that their thread has used
    std::uint64_t lost = 0;    ///< shards that lay in users' files, which are gone or have changed
    std::string lost_file{};   ///< one of these files
};

/// What computes the steps.
struct DeviceReport {
    std::string name;                ///< cpu, opencl:0; empty before there is an engine
    std::string model{};             ///< of the processor or card
    std::string why{};               ///< it is this one, as far as there was a choice
    std::uint64_t memory_bytes = 0;  ///< that it has
    std::uint64_t used_bytes = 0;    ///< that the model takes of them
    double step_seconds = 0;         ///< mean over recent steps, without waiting for data
    std::uint64_t failures = 0;      ///< times that a device has failed
};

/// What an evaluation of all held samples of a split has found.
struct Examined {
    compute::EvalResult result;
    /// What else the tallies of these labels know, by the names of --until.
    std::vector<compute::Quality> qualities;

    /// Returns a quality, with accuracy and loss from the sums of the engine; nothing where it is unknown.
    [[nodiscard]] std::optional<double> value(compute::QualityKind kind) const;
};

/// What the compute thread reports. A newer report replaces an older one.
struct TrainerReport {
    /// Number of the last order that is obeyed. If that order says to pause, no step runs any more.
    std::uint64_t obeyed = 0;
    std::uint64_t steps = 0;
    std::uint64_t samples = 0;
    std::uint64_t schedule_step = 0;
    double samples_per_s = 0;
    double data_wait = 0;            ///< share of time that the last steps waited for data, 0 to 1
    Duration longest_step{};         ///< as StepMeter::longest_step
    double loss = 0;                 ///< running mean over recent steps; of a text per character
    std::optional<double> accuracy;  ///< running estimate over small evaluations
    std::optional<double> test_loss;
    /// Running estimate of the quality that the swarm watches (peer/terms/task.hpp).
    std::optional<compute::Quality> quality;
    std::uint64_t damaged_records = 0;  ///< left out of batches, because they cannot be decoded
    std::uint64_t unsound_steps = 0;    ///< batches without a finite loss: they changed nothing
    /// Five unsound steps came in a row, or a parameter is not finite. Training rests until the
    /// next restart.
    bool diverged = false;
    std::uint64_t restarts = 0;    ///< number of the last restart that was done
    bool prepared = false;         ///< local shards were read and the engine was built
    std::uint64_t evaluation = 0;  ///< number of the last full evaluation
    Examined evaluated;            ///< what it has found on the split that targets are held against
    std::optional<Examined> tested;  ///< and on the test split, where that is another one
    /// And in each portion, where a split is judged in shares: then `evaluated` and `tested` are of our share.
    std::shared_ptr<const std::vector<PortionWord>> portions;
    std::uint64_t norms_drawn = 0;                      ///< number of the last draw
    std::shared_ptr<const compute::NormMoments> norms;  ///< what it has found
    std::uint64_t norms_set = 0;  ///< of which draw the running statistics are now
    data::BatcherPosition position;
    /// How far the shards are that are trained on, in order of id; `position` belongs to it.
    std::shared_ptr<const std::vector<data::ShardPlace>> places;
    CheckpointReport checkpoints;
    ShardFileReport shard_files;
    DeviceReport device;
    std::optional<Fault> fault;  ///< the thread has ended because of this
};

}  // namespace starling::peer
