// Goal: what a trainer has done outlives it: checkpoints, kept shards, a next life that goes on bit for
// bit, and an end in good order. Method: a real engine learns a tiny data set on its own thread; the
// test waits for reports.

#include <gtest/gtest.h>
#include <limits>
#include <thread>

#include "peer/training/engine_trainer.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/peer/training/trainer_life.hpp"

namespace starling::peer {
namespace {

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

TEST_F(EngineTrainers, StepsGoOnWhileACheckpointIsWritten) {
    Life life(sharded_);
    life.hold(sharded_);
    life.disk_is_slow = true;
    life.options.checkpoint_every = std::chrono::nanoseconds(1);
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await_steps(40);
    EXPECT_EQ(report.checkpoints.written, 0U);
    EXPECT_FALSE(report.checkpoints.kept_at);
    EXPECT_EQ(life.checkpoints().size(), 1U) << "the next one waits for the end of the first";
    life.disk_is_slow = false;
    life.finish_checkpoint();
    life.stop();
    const auto last = life.trainer().take_report();
    ASSERT_TRUE(last.has_value());
    EXPECT_GE(last->checkpoints.written, 2U);
    EXPECT_TRUE(last->checkpoints.kept_at);
    EXPECT_TRUE(last->checkpoints.last);
    EXPECT_EQ(life.checkpoints().back().steps, 40U);
}

TEST_F(EngineTrainers, AStartWritesNothingThatItHasJustRead) {
    Life life(sharded_);
    life.hold(sharded_);
    life.options.kept = true;
    life.start(life.order(TrainerPhase::Train));
    EXPECT_TRUE(life.await_steps(40).checkpoints.kept_at);
    EXPECT_TRUE(life.checkpoints().empty());
    life.stop();
    ASSERT_EQ(life.checkpoints().size(), 1U) << "that of the end";
    EXPECT_EQ(life.checkpoints().back().steps, 40U);
}

TEST_F(EngineTrainers, AReportSaysWhatBecameOfTheCheckpoints) {
    Life life(sharded_);
    life.hold(sharded_);
    life.disk_full = true;
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await_steps(40);
    EXPECT_EQ(report.checkpoints.failed, 1U);
    EXPECT_EQ(report.checkpoints.error, "checkpoint: the disk is full");
    EXPECT_FALSE(report.checkpoints.last);
    life.disk_full = false;
    life.stop();
    const auto last = life.trainer().take_report();
    ASSERT_TRUE(last.has_value());
    EXPECT_EQ(last->checkpoints.written, 1U);
    EXPECT_EQ(last->checkpoints.error, "");
    EXPECT_TRUE(last->checkpoints.last);
}

TEST_F(EngineTrainers, ALastCheckpointThatFailsIsNotReportedAsWritten) {
    Life life(sharded_);
    life.hold(sharded_);
    life.start(life.order(TrainerPhase::Train));
    (void)life.await_steps(40);
    life.disk_full = true;
    life.stop();
    const auto last = life.trainer().take_report();
    ASSERT_TRUE(last.has_value());
    EXPECT_EQ(last->checkpoints.written, 1U);
    EXPECT_EQ(last->checkpoints.failed, 1U);
    EXPECT_NE(last->checkpoints.error, "");
    EXPECT_FALSE(last->checkpoints.last);
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
        for (std::uint64_t i = 0; i < last.samples; ++i) ASSERT_TRUE(twin.next({values, label}));
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

TEST_F(EngineTrainers, AStopBeforeTheWaitForAnExchangeEndsThatWait) {
    Life life(sharded_);
    life.hold(sharded_);
    life.options.mix_every = 1;
    life.options.sync_wait = 100 * kPatience;
    life.stops_in_round = true;
    life.start(life.order(TrainerPhase::Train));
    life.await_end();
    EXPECT_EQ(life.rounds().size(), 1U);
}

/// The stop may also come between a step and its round: in about one of ten lives.
TEST_F(EngineTrainers, StopEndsAWaitForAnExchangeWheneverItComes) {
    for (int i = 0; i < 30; ++i) {
        Life life(sharded_);
        life.hold(sharded_);
        life.options.mix_every = 1;
        life.options.steps_limit = 0;
        life.options.sync_wait = 100 * kPatience;
        life.answers_at_once = true;
        life.start(life.order(TrainerPhase::Train));
        life.await_round();
        for (int pause = 0; pause < 5 * i; ++pause) std::this_thread::yield();
        life.answers_at_once = false;
        life.stop();
    }
}

TEST_F(EngineTrainers, WhoeverStopsItNeedNotWaitForTheLastCheckpoint) {
    Life life(sharded_);
    life.hold(sharded_);
    life.start(life.order(TrainerPhase::Train));
    (void)life.await_steps(40);
    life.hang_disk();
    life.trainer().begin_stop();
    life.await_writing();
    EXPECT_FALSE(life.ended());
    life.mend_disk();
    life.await_end();
    EXPECT_EQ(life.checkpoints().back().steps, 40U);
}

TEST_F(EngineTrainers, ATrainerThatCannotStartEnds) {
    Life life(sharded_);
    life.options.engine.model = "no-such-model";
    life.start(life.order(TrainerPhase::Train));
    life.await_end();
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
