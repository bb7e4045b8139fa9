// Goal: a trainer does what its orders say and tells what it does: it trains, evaluates, checkpoints,
// resumes, and survives a divergence. Method: a real engine learns a tiny data set on its own thread;
// the test waits for reports.

#include "peer/training/engine_trainer.hpp"

#include <condition_variable>
#include <gtest/gtest.h>
#include <limits>
#include <malloc.h>
#include <mutex>
#include <thread>

#include "compute/models/models.hpp"
#include "peer/terms/task.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/peer/training/tiny_data.hpp"

namespace starling::peer {
namespace {

constexpr std::uint64_t kBatch = 16;
/// Far longer than anything here takes, even under a sanitizer on a busy machine.
constexpr auto kPatience = std::chrono::seconds(120);
/// Less than the time from one checkpoint to the next.
constexpr auto kFirstCheckpoint = std::chrono::seconds(20);

/// Everything that one life of a peer trains with, and what its trainer has told.
class Life {
public:
    explicit Life(const data::Sharded& sharded, const std::string& model = "mlp?hidden=8")
        : shards(sharded.manifest, &sha256),
          parameters(*compute::model_layout(model, task_of(sharded.manifest))) {
        parameters.initialize(Rng(7));
        options.engine.model = model;
        options.engine.task = task_of(sharded.manifest);
        options.engine.batch = static_cast<std::int64_t>(kBatch);
        options.engine.eval_batch = 20;
        options.seed = 3;
        options.steps_limit = 40;
    }

    ~Life() { stop(); }

    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;

    void hold(const data::Sharded& sharded) {
        for (const auto& bytes : sharded.shards) ASSERT_TRUE(shards.put(bytes).has_value());
    }

    [[nodiscard]] TrainerOrder order(TrainerPhase phase) const {
        TrainerOrder order;
        order.phase = phase;
        order.shards = testing::shard_ids(shards.manifest(), data::Split::Train);
        order.shards_version = 1;
        order.keep = true;
        return order;
    }

    void start(TrainerOrder first) {
        Trainer::Callbacks callbacks;
        callbacks.report_ready = [this] { note([this] { ready_ = true; }); };
        callbacks.mix_due = [this](std::uint64_t round) {
            note([&] {
                rounds_.push_back(round);
                overtaken_ = overtaken_ || rounds_.size() > mixed_ + 1;
            });
        };
        callbacks.checkpoint = [this](const TrainerReport& report, std::span<const float> state) {
            note([&] {
                checkpoints_.push_back(report);
                optimizer_state_.assign(state.begin(), state.end());
            });
        };
        trainer_ = std::make_unique<EngineTrainer>(options, parameters, shards, callbacks);
        trainer_->order(std::move(first));
        trainer_->start();
    }

    /// Goes on where a life has ended. Its flags say another seed.
    void resume(Life& before) {
        const auto checkpoint = before.checkpoints().back();
        parameters.write_all(before.values());
        options.seed = 99;
        options.steps = checkpoint.steps;
        options.samples = checkpoint.samples;
        options.schedule_step = checkpoint.schedule_step;
        options.position = checkpoint.position;
        options.optimizer_state = before.optimizer_state();
    }

    Trainer& trainer() { return *trainer_; }

    void stop() {
        if (trainer_) trainer_->stop();
    }

    /// Returns the first report that satisfies `wanted`, or else the last one, with a failure.
    template <class Predicate>
    TrainerReport await(Predicate wanted) {
        TrainerReport last;
        while (true) {
            std::unique_lock lock(mutex_);
            if (!changed_.wait_for(lock, kPatience, [this] { return ready_; })) break;
            ready_ = false;
            lock.unlock();
            if (auto report = trainer_->take_report()) last = *report;
            if (wanted(last)) return last;
        }
        ADD_FAILURE() << "no such report; the last one has " << last.steps << " steps";
        return last;
    }

    TrainerReport await_steps(std::uint64_t steps) {
        return await([&](const TrainerReport& report) { return report.steps >= steps; });
    }

    /// Answers `count` exchanges, each after the trainer has asked for it. A trainer that does not
    /// wait for the answer has the time for more steps in between.
    void answer_exchanges(std::size_t count) {
        for (std::size_t round = 1; round <= count; ++round) {
            std::unique_lock lock(mutex_);
            ASSERT_TRUE(changed_.wait_for(lock, kPatience, [&] { return rounds_.size() >= round; })
            );
            lock.unlock();
            for (int i = 0; i < 1000; ++i) std::this_thread::yield();
            lock.lock();
            ++mixed_;
            const auto over = rounds_[round - 1];
            lock.unlock();
            // A word about a round that was over before does not end this one.
            trainer_->mixed(over - 1);
            for (int i = 0; i < 1000; ++i) std::this_thread::yield();
            trainer_->mixed(over);
        }
    }

    [[nodiscard]] std::vector<float> values() {
        std::vector<float> values(parameters.layout().elements());
        parameters.read_all(values);
        return values;
    }

    [[nodiscard]] std::vector<std::uint64_t> rounds() {
        const std::scoped_lock lock(mutex_);
        return rounds_;
    }

    void await_checkpoint() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, kFirstCheckpoint, [&] { return !checkpoints_.empty(); })
        ) << "no checkpoint";
    }

    [[nodiscard]] std::vector<TrainerReport> checkpoints() {
        const std::scoped_lock lock(mutex_);
        return checkpoints_;
    }

    [[nodiscard]] std::vector<float> optimizer_state() {
        const std::scoped_lock lock(mutex_);
        return optimizer_state_;
    }

    [[nodiscard]] bool overtaken() {
        const std::scoped_lock lock(mutex_);
        return overtaken_;
    }

    data::ShardStore shards;
    compute::ParameterStore parameters;
    TrainerOptions options;

private:
    template <class Change>
    void note(Change change) {
        const std::scoped_lock lock(mutex_);
        change();
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool ready_ = false;
    std::vector<std::uint64_t> rounds_;
    std::size_t mixed_ = 0;
    bool overtaken_ = false;  ///< a round began before the one before it had ended
    std::vector<TrainerReport> checkpoints_;
    std::vector<float> optimizer_state_;
    std::unique_ptr<Trainer> trainer_;
};

class EngineTrainers : public ::testing::Test {
protected:
    data::Sharded sharded_ = testing::tiny_shards();
};

TEST_F(EngineTrainers, ParametersThatAreNotWholeAreNotKept) {
    Life life(sharded_);
    life.hold(sharded_);
    auto fetching = life.order(TrainerPhase::Pause);
    fetching.keep = false;
    fetching.number = 4;
    life.start(fetching);
    const auto report = life.await([](const TrainerReport& r) { return r.obeyed == 4; });
    EXPECT_EQ(report.steps, 0U);
    life.stop();
    EXPECT_TRUE(life.checkpoints().empty());
}

TEST_F(EngineTrainers, TheFirstCheckpointComesWithTheFirstShards) {
    Life life(sharded_);
    life.hold(sharded_);
    // The first order names no shards yet, as that of a newcomer.
    life.start(TrainerOrder{});
    (void)life.await([](const TrainerReport& report) { return report.prepared; });
    TrainerOrder idle;
    idle.evaluation = 1;
    life.trainer().order(idle);
    (void)life.await([](const TrainerReport&) { return true; });
    life.trainer().order(life.order(TrainerPhase::Train));
    life.await_checkpoint();
}

TEST_F(EngineTrainers, TrainsToTheLimitOfStepsAndTellsWhenExchangesAreDue) {
    Life life(sharded_);
    life.hold(sharded_);
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await_steps(40);
    EXPECT_TRUE(report.prepared);
    EXPECT_EQ(report.steps, 40U);
    EXPECT_EQ(report.schedule_step, 40U);
    EXPECT_EQ(report.samples, 40 * kBatch);
    EXPECT_GT(report.loss, 0.0);
    EXPECT_LT(report.loss, 0.69) << "no better than a guess";
    EXPECT_EQ(report.position.epoch, 40 * kBatch / 128);
    life.stop();
    EXPECT_EQ(life.rounds(), (std::vector<std::uint64_t>{1, 2, 3, 4, 5}));
}

TEST_F(EngineTrainers, CheckpointsWhenTrainingBeginsAndAtTheEnd) {
    Life life(sharded_);
    life.hold(sharded_);
    life.start(life.order(TrainerPhase::Train));
    (void)life.await_steps(40);
    life.stop();
    const auto checkpoints = life.checkpoints();
    ASSERT_EQ(checkpoints.size(), 2U);
    EXPECT_EQ(checkpoints[0].steps, 1U);
    EXPECT_EQ(checkpoints[1].steps, 40U);
    EXPECT_EQ(checkpoints[1].samples, 40 * kBatch);
}

TEST_F(EngineTrainers, WithoutAnOrderThereIsNothingToCheckpoint) {
    Life life(sharded_);
    life.start({});
    (void)life.await([](const TrainerReport& report) { return report.prepared; });
    life.stop();
    EXPECT_TRUE(life.checkpoints().empty());
}

TEST_F(EngineTrainers, ALifeThatResumesGoesOnExactlyWhereTheLastOneEnded) {
    for (const std::uint64_t accumulate : {1U, 4U}) {
        const auto prepare = [&](Life& life) {
            life.hold(sharded_);
            life.options.engine.optimizer.accumulate = accumulate;
        };
        Life whole(sharded_);
        prepare(whole);
        whole.start(whole.order(TrainerPhase::Train));
        (void)whole.await_steps(40);
        whole.stop();

        Life first(sharded_);
        prepare(first);
        first.options.steps_limit = 13;
        first.start(first.order(TrainerPhase::Train));
        (void)first.await_steps(13);
        first.stop();

        Life second(sharded_);
        prepare(second);
        second.resume(first);
        second.start(second.order(TrainerPhase::Train));
        EXPECT_EQ(second.await_steps(40).samples, 40 * kBatch);
        second.stop();
        EXPECT_EQ(second.values(), whole.values()) << "accumulate " << accumulate;
        EXPECT_EQ(second.optimizer_state(), whole.optimizer_state());
        EXPECT_NE(first.values(), whole.values());
    }
}

TEST_F(EngineTrainers, AStopInTheMiddleOfAStepLosesNoSample) {
    for (int life = 0; life < 5; ++life) {
        // Its steps take far longer than what lies between them.
        Life stopped(sharded_, "mlp?hidden=512,512");
        stopped.hold(sharded_);
        stopped.options.steps_limit = 0;
        stopped.start(stopped.order(TrainerPhase::Train));
        (void)stopped.await_steps(1);
        stopped.stop();
        ASSERT_FALSE(stopped.checkpoints().empty());
        const auto last = stopped.checkpoints().back();
        data::Batcher twin(stopped.shards, 3);
        const auto order = stopped.order(TrainerPhase::Train);
        twin.set_shards(order.shards);
        std::vector<float> values(4);
        std::vector<std::int32_t> label(1);
        for (std::uint64_t i = 0; i < last.samples; ++i) ASSERT_TRUE(twin.next(values, label));
        EXPECT_EQ(last.position.epoch, twin.position().epoch);
        EXPECT_EQ(last.position.next, twin.position().next) << last.samples << " samples";
    }
}

TEST_F(EngineTrainers, TwoLivesOfOneSeedAreBitEqual) {
    const auto values = [this](std::uint64_t seed) {
        Life life(sharded_);
        life.hold(sharded_);
        life.options.seed = seed;
        life.options.engine.threads = 2;
        life.options.engine.optimizer = *compute::OptimizerSpec::parse("adamw?clip=1");
        life.start(life.order(TrainerPhase::Train));
        (void)life.await_steps(40);
        life.stop();
        return life.values();
    };
    EXPECT_EQ(values(3), values(3));
    EXPECT_NE(values(3), values(4));
}

TEST_F(EngineTrainers, NoSecondCopyOfTheOptimizersStateStays) {
    constexpr std::size_t kState = std::size_t{16} << 20U;  // 64 MiB: malloc maps it by itself
    Life life(sharded_);
    life.hold(sharded_);
    const auto before = ::mallinfo2().hblkhd;
    life.options.optimizer_state.resize(kState);
    life.start(life.order(TrainerPhase::Train));
    std::vector<float>().swap(life.options.optimizer_state);
    (void)life.await_steps(1);
    EXPECT_LT(::mallinfo2().hblkhd, before + kState);
}

TEST_F(EngineTrainers, EvaluatesTheWholeTestSetWhenOrdered) {
    Life life(sharded_);
    life.hold(sharded_);
    life.start(life.order(TrainerPhase::Train));
    (void)life.await_steps(40);
    auto order = life.order(TrainerPhase::Evaluate);
    order.evaluation = 1;
    life.trainer().order(order);
    const auto report = life.await([](const TrainerReport& r) { return r.evaluation == 1; });
    EXPECT_EQ(report.evaluated.samples, 48U);
    EXPECT_GT(report.evaluated.accuracy(), 0.9);
    EXPECT_EQ(report.accuracy, report.evaluated.accuracy());
    EXPECT_EQ(report.test_loss, report.evaluated.loss());
    EXPECT_EQ(report.samples_per_s, 0.0);
    order.evaluation = 2;
    life.trainer().order(order);
    const auto again = life.await([](const TrainerReport& r) { return r.evaluation == 2; });
    EXPECT_EQ(again.evaluated.correct, report.evaluated.correct);
}

TEST_F(EngineTrainers, AMissingDataSetIsAFault) {
    Life life(sharded_);
    life.options.local_source = "idx:/no/such/directory";
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await([](const TrainerReport& r) { return r.fault.has_value(); });
    EXPECT_EQ(report.fault->code, FaultCode::NotFound);
    EXPECT_NE(report.fault->message.find("/no/such/directory"), std::string::npos);
    EXPECT_FALSE(report.prepared);
    EXPECT_EQ(report.steps, 0U);
    life.stop();
    EXPECT_TRUE(life.checkpoints().empty());
}

TEST_F(EngineTrainers, AModelThatTheEngineRefusesIsAFault) {
    Life life(sharded_);
    life.options.engine.model = "no-such-model";
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await([](const TrainerReport& r) { return r.fault.has_value(); });
    EXPECT_EQ(report.fault->code, FaultCode::Usage);
}

TEST_F(EngineTrainers, ADivergenceStopsTrainingUntilTheParametersAreReplaced) {
    Life life(sharded_);
    life.hold(sharded_);
    const auto good = life.values();
    life.parameters.write_all(
        std::vector<float>(good.size(), std::numeric_limits<float>::quiet_NaN())
    );
    life.start(life.order(TrainerPhase::Train));
    const auto diverged = life.await([](const TrainerReport& r) { return r.diverged; });
    EXPECT_EQ(diverged.unsound_steps, 5U);
    EXPECT_EQ(diverged.steps, 0U);
    EXPECT_EQ(diverged.samples, 0U);
    EXPECT_TRUE(life.checkpoints().empty()) << "what is on the disk may be the last sound model";
    life.parameters.write_all(good);
    auto order = life.order(TrainerPhase::Train);
    order.restarts = 1;
    life.trainer().order(order);
    const auto report = life.await_steps(40);
    EXPECT_FALSE(report.diverged);
    EXPECT_EQ(report.restarts, 1U);
    EXPECT_EQ(report.unsound_steps, 5U);
    EXPECT_LT(report.loss, 0.69);
    life.stop();
    ASSERT_FALSE(life.checkpoints().empty());
    EXPECT_EQ(life.checkpoints().back().steps, 40U);
}

TEST_F(EngineTrainers, EstimatesWhileItTrainsAndThenNoticesBadParameters) {
    Life life(sharded_);
    life.hold(sharded_);
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await([](const TrainerReport& r) { return r.accuracy.has_value(); });
    EXPECT_GT(*report.accuracy, 0.9);
    EXPECT_TRUE(report.test_loss.has_value());
    EXPECT_FALSE(report.diverged);
    auto values = life.values();
    values[0] = std::numeric_limits<float>::infinity();
    life.parameters.write_all(values);
    const auto diverged = life.await([](const TrainerReport& r) { return r.diverged; });
    EXPECT_EQ(diverged.unsound_steps, 0U);
    life.stop();
    EXPECT_EQ(life.checkpoints().size(), 1U) << "only that of the beginning";
}

TEST_F(EngineTrainers, ANewcomerTakesALaterPlaceInTheSchedule) {
    Life life(sharded_);
    life.hold(sharded_);
    auto order = life.order(TrainerPhase::Train);
    order.schedule_step = 500;
    life.start(order);
    EXPECT_EQ(life.await_steps(40).schedule_step, 540U);
    order.schedule_step = 100;
    order.phase = TrainerPhase::Evaluate;
    order.evaluation = 1;
    life.trainer().order(order);
    const auto report = life.await([](const TrainerReport& r) { return r.evaluation == 1; });
    EXPECT_EQ(report.schedule_step, 540U) << "a place never goes back";
}

TEST_F(EngineTrainers, WithSyncNoRoundBeginsBeforeTheOneBeforeHasEnded) {
    Life life(sharded_);
    life.hold(sharded_);
    life.options.mix_every = 2;
    life.options.sync_wait = kPatience;
    life.start(life.order(TrainerPhase::Train));
    life.answer_exchanges(20);
    EXPECT_EQ(life.await_steps(40).steps, 40U);
    EXPECT_FALSE(life.overtaken());
    EXPECT_EQ(life.rounds().size(), 20U);
}

TEST_F(EngineTrainers, StopEndsAWaitForAnExchange) {
    Life life(sharded_);
    life.hold(sharded_);
    life.options.mix_every = 1;
    life.options.sync_wait = 100 * kPatience;
    life.start(life.order(TrainerPhase::Train));
    life.answer_exchanges(1);
    life.stop();
    EXPECT_LE(life.rounds().size(), 2U);
}

TEST_F(EngineTrainers, ShardsThatWereHeldAreFoundByTheNextLife) {
    const starling::testing::TemporaryDirectory directory;
    Life first(sharded_);
    first.hold(sharded_);
    first.options.shard_directory = directory.path() / "shards";
    first.start(first.order(TrainerPhase::Train));
    (void)first.await_steps(1);
    first.stop();

    Life second(sharded_);
    second.options.shard_directory = directory.path() / "shards";
    second.start(second.order(TrainerPhase::Train));
    EXPECT_EQ(second.await_steps(40).samples, 40 * kBatch);
    EXPECT_EQ(second.shards.held(), 3U);
}

}  // namespace
}  // namespace starling::peer
