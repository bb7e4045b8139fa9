#pragma once

// The compute thread's loop: batch, step, now and then an evaluation on a part of the test set, and
// a word to the network thread that an exchange is due. It never waits for the network.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "base/running_mean.hpp"
#include "compute/training/engine.hpp"
#include "data/batcher.hpp"
#include "data/shard_store.hpp"
#include "peer/training/evaluation.hpp"
#include "peer/training/handoff.hpp"

namespace starling::peer {

enum class TrainerPhase : std::uint8_t { Pause, Train, Evaluate, Stop };

/// What the network thread wants. The newest order counts.
struct TrainerOrder {
    TrainerPhase phase = TrainerPhase::Pause;
    std::vector<ShardId> shards;       ///< to train on
    std::uint64_t shards_version = 0;  ///< raised when `shards` changes or more of them are held
    std::uint64_t evaluation = 0;  ///< a new number asks for one evaluation of the whole test set
    std::optional<std::uint64_t> schedule_step;  ///< a newcomer's place in the schedule
    /// A new number says that the parameters were replaced after training had diverged: what the
    /// optimizer remembers of the old ones is forgotten.
    std::uint64_t restarts = 0;
};

/// What the compute thread tells. The newest report counts.
struct TrainerReport {
    std::uint64_t steps = 0;
    std::uint64_t samples = 0;
    std::uint64_t schedule_step = 0;
    double samples_per_s = 0;
    double loss = 0;                 ///< running mean over recent steps; of a text per character
    std::optional<double> accuracy;  ///< running estimate on rotating parts of the test set
    std::optional<double> test_loss;
    std::uint64_t unsound_steps = 0;  ///< batches without a finite loss: they changed nothing
    /// So many of them came in a row that it is the model's fault, or a parameter is not finite.
    /// Training rests until the next restart.
    bool diverged = false;
    std::uint64_t restarts = 0;     ///< of the last order that was obeyed
    bool prepared = false;          ///< the local source was read
    std::uint64_t evaluation = 0;   ///< number of the last whole evaluation that is done
    compute::EvalResult evaluated;  ///< its result
    data::BatcherPosition position;
    std::optional<Fault> fault;  ///< the thread has ended with this
};

struct TrainerOptions {
    compute::EngineOptions engine;
    std::string local_source;  ///< dataset SPEC whose shards we need not fetch; may be empty
    std::uint64_t seed = 0;
    std::uint64_t mix_every = 8;
    /// Wait for each exchange at most so long; zero never waits.
    Duration sync_wait{};
    double evaluation_share = 0.05;  ///< of the time, at most
    std::uint64_t steps = 0;         ///< counters to go on from
    std::uint64_t samples = 0;
    std::uint64_t schedule_step = 0;
    data::BatcherPosition position;
    std::vector<float> optimizer_state;
    /// Shards found here need not be fetched again, and held ones are kept here; may be empty.
    std::filesystem::path shard_directory;
    std::uint64_t steps_limit = 0;  ///< makes no further step from here on; 0: no limit
};

class Trainer {
public:
    struct Callbacks {
        std::function<void()>
            report_ready;  ///< called on the compute thread: post, then take_report
        std::function<void(std::uint64_t round)> mix_due;  ///< likewise
        /// Writes a checkpoint, on the compute thread; may be empty.
        std::function<void(const TrainerReport&, std::span<const float> optimizer_state)>
            checkpoint;
    };

    /// Requires  `parameters` and `shards` outlive the trainer
    Trainer(
        TrainerOptions options,
        compute::ParameterStore& parameters,
        data::ShardStore& shards,
        Callbacks callbacks
    );
    /// Stops and joins.
    ~Trainer();
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;

    void start();

    /// Replaces the order. Thread network.
    void order(TrainerOrder order);

    /// Takes the newest report, if there is one. Thread network.
    [[nodiscard]] std::optional<TrainerReport> take_report();

    /// The exchange that was due is over. Thread network.
    void mixed();

    /// An exchange has just averaged the parameters with a partner's. Thread network.
    void averaged();

    /// Ends the thread at the next operator and joins it.
    void stop();

private:
    void run();
    static void yield_to_network();
    [[nodiscard]] Result<void> prepare();
    void obey(const TrainerOrder& order);
    void train_once();
    void note_unsound();
    void note_divergence();
    void start_over(std::uint64_t number);
    void rest();
    void mix();
    void evaluate_part();
    [[nodiscard]] bool evaluation_due() const;
    void evaluate_all();
    void checkpoint();
    void read_kept_shards();
    void keep_shards();
    void publish(bool always);

    TrainerOptions options_;
    compute::ParameterStore& parameters_;
    data::ShardStore& shards_;
    Callbacks callbacks_;
    Mailbox<TrainerOrder> orders_;
    Mailbox<TrainerReport> reports_;
    Mailbox<bool> mixed_;
    std::atomic<bool> stop_{false};
    std::atomic<compute::Engine*> running_{nullptr};  ///< for interrupt()
    std::atomic<Instant> averaged_at_{Instant{}};

    // Owned by the compute thread.
    std::unique_ptr<compute::Engine> engine_;
    data::Batcher batcher_;
    TrainerOrder current_;
    TrainerReport report_;
    std::vector<float> values_;
    std::vector<std::int32_t> labels_;
    std::optional<Evaluation> evaluation_;
    std::size_t unsound_in_a_row_ = 0;
    bool loss_known_ = false;  ///< report_.loss is of these parameters
    std::size_t eval_next_ = 0;
    Instant eval_due_;
    RunningMean accuracy_;
    RunningMean test_loss_;
    Instant published_;
    Instant checkpointed_;
    Instant rate_since_;
    std::uint64_t rate_samples_ = 0;
    std::jthread thread_;
};

}  // namespace starling::peer
