#pragma once

// The loop of the compute thread: it takes a batch, makes a step, and sometimes evaluates the model
// on a few test samples. It tells the network thread when an exchange is due. Only with --sync it
// waits for the network: for the end of each exchange, at most `sync_wait`.

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
#include "peer/terms/training.hpp"
#include "peer/training/evaluation.hpp"
#include "peer/training/handoff.hpp"

namespace starling::peer {

struct TrainerOptions {
    compute::EngineOptions engine;
    std::string local_source;  ///< dataset SPEC to cut shards from; empty: all are fetched
    std::uint64_t seed = 0;
    std::uint64_t mix_every = 8;
    /// The trainer waits at most so long for each exchange; zero: it never waits.
    Duration sync_wait{};
    double evaluation_share = 0.05;  ///< evaluations take at most this share of the time
    std::uint64_t steps = 0;         ///< counters to continue from
    std::uint64_t samples = 0;
    std::uint64_t schedule_step = 0;
    data::BatcherPosition position;
    std::vector<float> optimizer_state;
    /// The trainer reads shards from here at its start and keeps the held ones here; may be empty.
    std::filesystem::path shard_directory;
    std::uint64_t steps_limit = 0;  ///< the trainer stops after so many steps; 0: no limit
};

class Trainer {
public:
    struct Callbacks {
        /// The compute thread calls it when there is a report. Post to the network thread, and call
        /// take_report() there.
        std::function<void()> report_ready;
        /// The compute thread calls it when an exchange is due. Post here, too.
        std::function<void(std::uint64_t round)> mix_due;
        /// Writes a checkpoint. The compute thread calls it and waits for its end; may be empty.
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
    /// Calls stop().
    ~Trainer();
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;

    /// Starts the compute thread, which calls the callbacks from then on.
    void start();

    /// Replaces the order.
    /// Thread    network
    void order(TrainerOrder order);

    /// Takes the newest report, if there is one.
    /// Thread    network
    [[nodiscard]] std::optional<TrainerReport> take_report();

    /// Tells the trainer that the exchange which was due is over. With `sync_wait` it waits for
    /// this.
    /// Thread    network
    void mixed();

    /// Tells the trainer that an exchange has just averaged the parameters with a partner's.
    /// Thread    network
    void averaged();

    /// Stops the engine at its next operator and blocks until the thread has ended. The thread
    /// writes a last checkpoint before it ends.
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
    void update_estimate();
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
    std::atomic<compute::Engine*> running_{nullptr};  ///< the engine that stop() interrupts
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
    bool loss_known_ = false;  ///< report_.loss belongs to the current parameters
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
