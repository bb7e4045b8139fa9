// Goal: a trainer does what its orders say and tells what it does: it trains, evaluates, and survives
// a divergence. Method: a real engine learns a tiny data set on its own thread; the test waits for
// reports.

#include "peer/training/engine_trainer.hpp"

#include <gtest/gtest.h>
#include <limits>
#include <thread>

#include "tests/support/temporary_directory.hpp"
#include "tests/unit/peer/training/trainer_life.hpp"

namespace starling::peer {
namespace {

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

TEST_F(EngineTrainers, EvaluatesTheWholeTestSetWhenOrdered) {
    Life life(sharded_);
    life.hold(sharded_);
    life.start(life.order(TrainerPhase::Train));
    (void)life.await_steps(40);
    auto order = life.order(TrainerPhase::Evaluate);
    order.evaluation = 1;
    life.trainer().order(order);
    const auto report = life.await([](const TrainerReport& r) { return r.evaluation == 1; });
    EXPECT_EQ(report.evaluated.result.samples, 48U);
    EXPECT_GT(report.evaluated.result.accuracy(), 0.9);
    EXPECT_EQ(report.accuracy, report.evaluated.result.accuracy());
    EXPECT_EQ(report.test_loss, report.evaluated.result.loss());
    EXPECT_EQ(report.samples_per_s, 0.0);
    order.evaluation = 2;
    life.trainer().order(order);
    const auto again = life.await([](const TrainerReport& r) { return r.evaluation == 2; });
    EXPECT_EQ(again.evaluated.result.correct, report.evaluated.result.correct);
}

TEST_F(EngineTrainers, LooksAtWhatNormsSeeAndTakesWhatTheyAreToSee) {
    Life life(sharded_, "tabular?norm=1&hidden=8");
    life.hold(sharded_);
    life.start(life.order(TrainerPhase::Train));
    (void)life.await_steps(40);
    const auto before = life.values();
    auto order = life.order(TrainerPhase::Pause);
    order.norms_draw = 1;
    life.trainer().order(order);
    const auto drawn = life.await([](const TrainerReport& r) { return r.norms_drawn == 1; });
    ASSERT_NE(drawn.norms, nullptr);
    EXPECT_EQ(drawn.norms->samples, 128.0) << "eight batches of 16 are all that there is";
    ASSERT_EQ(drawn.norms->means.size(), 4U);
    EXPECT_EQ(life.values(), before) << "looking changes nothing";
    // The recipe has standardised the pixels of all four places together.
    double mean = 0.0;
    double square = 0.0;
    for (std::size_t c = 0; c < 4; ++c) {
        mean += drawn.norms->means[c] / 4.0;
        square += (drawn.norms->variances[c] + drawn.norms->means[c] * drawn.norms->means[c]) / 4.0;
    }
    EXPECT_NEAR(mean, 0.0, 1e-4);
    EXPECT_NEAR(square, 1.0, 1e-4);
    const compute::NormMoments merged{256.0, {1.0, 2.0, 3.0, 4.0}, {5.0, 6.0, 7.0, 8.0}};
    order.norms = std::make_shared<const compute::NormMoments>(merged);
    order.norms_set = 1;
    life.trainer().order(order);
    (void)life.await([](const TrainerReport& r) { return r.norms_set == 1; });
    const auto after = life.values();
    EXPECT_EQ(
        std::vector<float>(after.end() - 8, after.end()),
        (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8})
    );
    EXPECT_TRUE(std::equal(after.begin(), after.end() - 8, before.begin()));
    // A partner that still has old ones does not change them.
    const auto last = life.parameters.layout().chunks().size() - 1;
    const std::vector<float> delta(8, 1.0F);
    EXPECT_TRUE(life.parameters.try_add(last, std::as_bytes(std::span(delta))));
    EXPECT_EQ(life.values(), after);
    // Others may say anything of how many channels there are.
    order.norms =
        std::make_shared<const compute::NormMoments>(compute::NormMoments{1.0, {1.0}, {1.0}});
    order.norms_set = 2;
    life.trainer().order(order);
    (void)life.await([](const TrainerReport& r) { return r.norms_set == 2; });
    EXPECT_EQ(life.values(), after);
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

TEST_F(EngineTrainers, BatchesThatTheEngineRefusesCountAsUnsoundAndAreTold) {
    // The pixels are no whole numbers, so none is a category.
    Life life(sharded_, "tabular?categories=2&hidden=8");
    life.hold(sharded_);
    const auto before = life.values();
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await([](const TrainerReport& r) { return r.diverged; });
    EXPECT_EQ(report.unsound_steps, 5U);
    EXPECT_EQ(report.steps, 0U);
    EXPECT_EQ(report.samples, 0U);
    EXPECT_FALSE(report.fault.has_value());
    life.stop();
    EXPECT_EQ(life.values(), before);
    ASSERT_FALSE(life.lines().empty());
    EXPECT_NE(life.lines()[0].find("names no row of a table of 2"), std::string::npos)
        << life.lines()[0];
    // Another line comes a minute later at the earliest.
    EXPECT_EQ(life.lines().size(), 1U);
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

TEST_F(EngineTrainers, WhereExchangesGoByTimeEachIsAskedForOnce) {
    Life life(sharded_);
    life.hold(sharded_);
    life.options.mix_every = 0;
    life.options.steps_limit = 0;
    life.start(life.order(TrainerPhase::Train));
    (void)life.await_steps(20);
    EXPECT_EQ(life.rounds().size(), 0U) << "nobody has asked for one";
    life.trainer().mix_from(Instant{});
    life.answer_exchanges(1);
    const auto steps = life.await_steps(0).steps;
    (void)life.await_steps(steps + 20);
    EXPECT_EQ(life.rounds().size(), 1U);
    life.trainer().mix_from(Instant{});
    life.answer_exchanges(2);
    life.trainer().mix_from(Instant::max() - std::chrono::hours(1));
    (void)life.await_steps(steps + 60);
    EXPECT_EQ(life.rounds().size(), 2U) << "not yet";
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

}  // namespace
}  // namespace starling::peer
