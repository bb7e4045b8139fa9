#pragma once

// The trainer that computes. Its loop takes a batch, makes a step, and sometimes evaluates the model
// on a few test samples. It tells the network thread when an exchange is due. Only with --sync it
// waits for the network: for the end of its round, at most `sync_wait`.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "compute/training/engine.hpp"
#include "data/prefetch.hpp"
#include "data/shard_store.hpp"
#include "peer/training/divergence_watch.hpp"
#include "peer/training/estimator.hpp"
#include "peer/training/evaluation_pace.hpp"
#include "peer/training/handoff.hpp"
#include "peer/training/refused_batches.hpp"
#include "peer/training/running_engine.hpp"
#include "peer/training/shard_file_thread.hpp"
#include "peer/training/step_meter.hpp"
#include "peer/training/trainer.hpp"

namespace starling::peer {

struct TrainerOptions {
    compute::EngineOptions engine;
    std::string local_source;           ///< dataset SPEC to cut shards from; empty: all are fetched
    std::uint64_t seed = 0;             ///< of the shuffle, unless `position` has one
    std::uint64_t evaluation_seed = 0;  ///< where in the test set the estimates begin
    std::uint64_t mix_every = 8;        ///< steps; 0: mix_from() says when
    /// The trainer waits at most so long for each exchange; zero: it never waits.
    Duration sync_wait{};
    /// Estimated while training, besides accuracy and loss; nothing: only these.
    std::optional<compute::QualityKind> watched;
    double evaluation_share = 0.05;  ///< evaluations take at most this share of the time
    std::uint64_t steps = 0;         ///< counters to continue from
    std::uint64_t samples = 0;
    std::uint64_t schedule_step = 0;
    data::BatcherPosition position;
    std::vector<float> optimizer_state;
    Duration checkpoint_every = std::chrono::seconds(30);
    bool kept = false;  ///< the disk has all of this, so the first checkpoint can wait
    /// The trainer reads shards from here at its start and keeps the held ones here. Empty: the held
    /// ones lie in files without a name.
    std::filesystem::path shard_directory;
    std::uint64_t steps_limit = 0;  ///< the trainer stops after so many steps; 0: no limit
};

class EngineTrainer final : public Trainer {
public:
    /// Requires  `parameters` and `shards` outlive the trainer
    EngineTrainer(
        TrainerOptions options,
        compute::ParameterStore& parameters,
        data::ShardStore& shards,
        Callbacks callbacks
    );
    /// Calls stop().
    ~EngineTrainer() override;

    void start() override;
    void order(TrainerOrder order) override;
    [[nodiscard]] std::optional<TrainerReport> take_report() override;
    void mixed(std::uint64_t round) override;
    void mix_from(Instant from) override;
    void scale_rate(double factor) override;
    void averaged() override;
    void begin_stop() override;
    void stop() override;

private:
    void run();
    void live();
    static void yield_to_network();
    [[nodiscard]] Result<void> prepare();
    [[nodiscard]] Result<void> cut_local_source();
    [[nodiscard]] bool replace_device(const Fault& fault);
    [[nodiscard]] bool note_evaluation_fault();
    void obey(const TrainerOrder& order);
    void train_once();
    void start_over(std::uint64_t number);
    /// Counts records that could not be decoded, and tells people of the first.
    void note_damage(const data::PreparedBatch& batch);
    void rest();
    [[nodiscard]] bool exchange_due();
    void mix();
    [[nodiscard]] bool evaluation_due() const;
    void update_estimate();
    void evaluate_all();
    void draw_norms();
    void set_norms();
    [[nodiscard]] bool checkpoint_due() const;
    void look_after_checkpoint();
    [[nodiscard]] bool begin_checkpoint();
    bool await_checkpoint();
    bool note_checkpoint(const Result<void>& written);

    /// Returns whether a checkpoint would keep anything. Before the first shards we hold nothing
    /// that a restarted peer could not fetch from others.
    [[nodiscard]] bool keeps() const { return current_.keep && current_.shards_version > 0; }

    void publish(bool always);
    void note_refused(const Fault& fault);

    TrainerOptions options_;
    compute::ParameterStore& parameters_;
    data::ShardStore& shards_;
    Callbacks callbacks_;
    Mailbox<TrainerOrder> orders_;
    Mailbox<TrainerReport> reports_;
    Mailbox<std::uint64_t> mixed_;   ///< the last round that is over
    Mailbox<Result<void>> written_;  ///< what became of a checkpoint
    std::atomic<bool> stop_{false};
    std::atomic<Instant> averaged_at_{Instant{}};
    std::atomic<double> rate_factor_{1.0};
    std::atomic<Instant> mix_from_{Instant::max()};

    // Owned by the compute thread.
    RunningEngine engine_;
    data::Prefetcher batches_;
    TrainerOrder current_;
    TrainerReport report_;
    ShardFileThread files_;
    EvaluationPace pace_;
    std::optional<Estimator> estimator_;  ///< present once prepare() has succeeded
    DivergenceWatch divergence_;
    RefusedBatches refused_;
    StepMeter meter_;
    Instant published_;
    std::uint64_t places_told_ = 0;        ///< version of the last report
    std::uint64_t told_samples_ = 0;       ///< in the last report
    std::optional<Instant> checkpointed_;  ///< when the last one was begun; nothing: none was
    bool writing_ = false;                 ///< the last one is not on the disk yet
    bool told_soon_ = false;               ///< that the next one is due soon
    std::jthread thread_;
};

}  // namespace starling::peer
