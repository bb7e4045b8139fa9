#pragma once

// One life of a trainer for tests: a real engine learns a tiny data set on its own thread, and the
// test waits for what the trainer tells.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <malloc.h>
#include <mutex>
#include <thread>

#include "compute/models/models.hpp"
#include "peer/terms/task.hpp"
#include "peer/training/engine_trainer.hpp"
#include "tests/unit/peer/training/tiny_data.hpp"

namespace starling::peer {

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
            if (answers_at_once) trainer_->mixed(round);
            if (stops_in_round) trainer_->begin_stop();
        };
        callbacks.checkpoint = [this](const auto& report, auto state, auto done) {
            if (disk_full) return done(fail(FaultCode::Busy, "checkpoint: the disk is full"));
            std::unique_lock lock(mutex_);
            writing_ = true;
            changed_.notify_all();
            changed_.wait(lock, [this] { return !disk_hangs_; });
            lock.unlock();
            note([&] {
                checkpoints_.push_back(report);
                optimizer_state_.assign(state.begin(), state.end());
            });
            if (!disk_is_slow) return done({});
            note([&] { slow_done_ = std::move(done); });
        };
        callbacks.note = [this](std::string line) {
            note([&] { lines_.push_back(std::move(line)); });
        };
        callbacks.ended = [this] { note([&] { ended_ = true; }); };
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

    /// What people were told.
    [[nodiscard]] std::vector<std::string> lines() {
        const std::scoped_lock lock(mutex_);
        return lines_;
    }

    [[nodiscard]] bool overtaken() {
        const std::scoped_lock lock(mutex_);
        return overtaken_;
    }

    [[nodiscard]] bool ended() {
        const std::scoped_lock lock(mutex_);
        return ended_;
    }

    void await_round() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, kPatience, [this] { return !rounds_.empty(); }));
    }

    void await_end() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, kPatience, [this] { return ended_; }));
    }

    /// From now on a checkpoint waits until the disk works again.
    void hang_disk() {
        note([this] {
            disk_hangs_ = true;
            writing_ = false;
        });
    }

    void await_writing() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, kPatience, [this] { return writing_; }));
    }

    void mend_disk() {
        note([this] { disk_hangs_ = false; });
    }

    /// Ends a checkpoint that was begun while the disk is slow.
    void finish_checkpoint() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, kPatience, [this] { return bool{slow_done_}; }));
        const auto done = std::exchange(slow_done_, nullptr);
        lock.unlock();
        if (done) done({});
    }

    std::atomic<bool> disk_full = false;        ///< no checkpoint can be written
    std::atomic<bool> disk_is_slow = false;     ///< finish_checkpoint() ends each
    std::atomic<bool> stops_in_round = false;   ///< the stop comes before the wait for the exchange
    std::atomic<bool> answers_at_once = false;  ///< each exchange that is due is over at once
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
    bool ended_ = false;
    bool writing_ = false;
    bool disk_hangs_ = false;
    std::function<void(Result<void>)> slow_done_;
    std::vector<std::uint64_t> rounds_;
    std::size_t mixed_ = 0;
    bool overtaken_ = false;  ///< a round began before the one before it had ended
    std::vector<std::string> lines_;
    std::vector<TrainerReport> checkpoints_;
    std::vector<float> optimizer_state_;
    std::unique_ptr<Trainer> trainer_;
};

class EngineTrainers : public ::testing::Test {
protected:
    data::Sharded sharded_ = testing::tiny_shards();
};

}  // namespace starling::peer
