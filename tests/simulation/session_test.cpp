// Goal: whole peers join, train, restart and end as one swarm, whatever fails.
// Method: for each seed a swarm of whole peers runs in virtual time with faults of its own, and the
// checkers look at every half second. The last test draws all faults at random, as
// random_faults_test.cpp does.

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "tests/simulation/fault_schedule.hpp"
#include "tests/simulation/whole_run.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
using peer_virtual::Power;

constexpr Duration kTrainWithin = 120s;

/// Returns how many rounds are over for the peer that has made the fewest, and the most.
std::pair<std::uint64_t, std::uint64_t> rounds_over(Swarm& swarm) {
    std::uint64_t fewest = ~std::uint64_t{0};
    std::uint64_t most = 0;
    for (const auto node : swarm.running()) {
        const auto& averager = swarm.averager(node);
        const auto over = averager.round() - (averager.in_round() ? 1 : 0);
        fewest = std::min(fewest, over);
        most = std::max(most, over);
    }
    return {fewest, most};
}

peer::Until until(const std::string& text) {
    return *peer::Until::parse(text);
}

TEST(Sessions, NewcomersJoinTrainAndEndTogether) {
    for (const auto seed : seeds(8)) {
        auto options = whole_peers(seed, 8);
        options.training->until = until("samples=40000");
        WholeRun run(options);
        run.swarm().start_all(2s);
        run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
        std::uint64_t samples = 0;
        run.require_within(300s, "all end", [&] {
            samples = std::max(samples, run.samples());
            return run.all_gone();
        });
        ASSERT_TRUE(run.simulation.passed());
        EXPECT_EQ(samples, 40000U) << "a target is a bound";
        EXPECT_EQ(run.checkers.joined(), 7U);
        EXPECT_EQ(run.checkers.finished(), 8U);
        EXPECT_EQ(run.checkers.failed(), 0U);
    }
}

TEST(Sessions, WithSyncFourPeersAreNeverMoreThanTwoRoundsApart) {
    for (const auto seed : seeds(6)) {
        auto options = whole_peers(seed, 4);
        options.averaging->sync = true;
        options.training->wait_for = 4;
        options.training->slow = 1;
        WholeRun run(options);
        run.swarm().start_all(2s);
        run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
        // Newcomers learn from the others first, and keep no round meanwhile.
        run.run_for(30s);
        const auto [begun, unused] = rounds_over(run.swarm());
        for (int i = 0; i < 1200; ++i) {
            run.run_for(50ms);
            const auto [fewest, most] = rounds_over(run.swarm());
            // A round apart, and one more where the last partner of a cycle is the first of the next.
            ASSERT_LE(most - fewest, 2U) << "after " << i * 50 << " ms, seed " << seed;
        }
        ASSERT_TRUE(run.simulation.passed());
        // The slow one makes a step in 100 ms and a round in 800 ms: 75 of them in a minute.
        EXPECT_GT(rounds_over(run.swarm()).first, begun + 60);
    }
}

/// Three peers with a whole, a half and a quarter of a core share 2,000 shards.
TEST(Sessions, PeersOfUnlikeSpeedFinishAnEpochTogether) {
    for (const auto seed : seeds(3)) {
        auto options = whole_peers(seed, 3);
        options.training->slowness = {1.0, 2.0, 4.0};
        options.training->shards = 2000;
        options.training->samples_per_shard = 8;
        WholeRun run(options);
        auto& swarm = run.swarm();
        swarm.start_all(2s);
        run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
        const auto epochs = [&] {
            std::vector<double> seconds;
            for (NodeIndex node = 0; node < 3; ++node) {
                const auto& roster = swarm.session(node)->session().roster();
                const auto duty = static_cast<double>(roster.duties().train.size());
                seconds.push_back(duty * options.training->slowness[node]);
            }
            const auto [least, most] = std::minmax_element(seconds.begin(), seconds.end());
            return *most / *least;
        };
        EXPECT_GT(epochs(), 2.5) << "nobody has measured yet";
        run.run_for(60s);
        EXPECT_LT(epochs(), 1.25) << hex(seed);
        // Every shard has one owner, and nothing moves any more.
        std::size_t owned = 0;
        std::vector<std::optional<std::int16_t>> words;
        for (NodeIndex node = 0; node < 3; ++node) {
            owned += swarm.session(node)->session().roster().duties().train.size();
            words.push_back(swarm.session(node)->session().record().speed);
        }
        // In pairs each counts by its speed, so the fast one is not held up.
        const auto weight = [&](NodeIndex node) {
            return int{swarm.session(node)->session().mix_weight().value_or(-100)};
        };
        EXPECT_NEAR(weight(0) - weight(1), 1, 1) << hex(seed);
        EXPECT_NEAR(weight(0) - weight(2), 2, 1) << hex(seed);
        EXPECT_EQ(owned, 2000U);
        run.run_for(300s);
        for (NodeIndex node = 0; node < 3; ++node) {
            EXPECT_EQ(swarm.session(node)->session().record().speed, words[node]);
        }
        ASSERT_TRUE(run.simulation.passed());
    }
}

/// A request that has waited until its partner is free crosses with the partner's own. Whoever
/// misses that it answers already waits ten seconds for a request that never comes.
TEST(Sessions, WithSyncNobodyWaitsForWhomItAnswersAlready) {
    for (const auto seed : seeds(30)) {
        auto options = whole_peers(seed, 3);
        options.network.loss = 0.0;
        options.averaging->sync = true;
        // Of few shards one of three may own none. Then two make all the steps, and need 27 s.
        options.training->shards = 100;
        options.training->until = until("samples=8000");
        WholeRun run(options);
        run.swarm().start_all(100ms);
        run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
        run.require_within(26s, "all end in time", [&] { return run.all_gone(); });
        ASSERT_TRUE(run.simulation.passed());
    }
}

TEST(Sessions, ATargetThatIsMissedOpensARoundForAll) {
    std::size_t more_rounds = 0;
    for (const auto seed : seeds(8)) {
        auto options = whole_peers(seed, 6);
        options.training->until = until("accuracy=0.95");
        options.training->noise = 0.02;
        WholeRun run(options);
        run.swarm().start_all(2s);
        run.require_within(600s, "all end", [&] { return run.all_gone(); });
        ASSERT_TRUE(run.simulation.passed());
        EXPECT_EQ(run.checkers.finished(), 6U);
        ASSERT_EQ(run.checkers.rounds().size(), 1U);
        if (*run.checkers.rounds().begin() > 0) ++more_rounds;
    }
    RecordProperty("runs with more than one round", static_cast<int>(more_rounds));
}

/// A third of the answers is lost and there are few to ask: who asks only once never arrives.
TEST(Sessions, ANewcomerArrivesThoughAnswersAreLost) {
    for (const auto seed : seeds(20)) {
        auto options = whole_peers(seed, 2 + seed % 3);
        options.training->lost_answers = 0.3;
        options.training->shards = 6;
        WholeRun run(options);
        run.swarm().start_all(2s);
        run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
        ASSERT_TRUE(run.simulation.passed());
    }
}

/// Of more peers than shards some train on nothing. They must not stay outside the sum for ever:
/// a ghost declines what others ask.
TEST(Sessions, PeersWithoutAShardAverageAsOthersDo) {
    for (const auto seed : seeds(5)) {
        auto options = whole_peers(seed, 10);
        options.training->shards = 5;
        WholeRun run(options);
        auto& swarm = run.swarm();
        swarm.start_all(2s);
        run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
        run.require_within(60s, "all count in the sum", [&] {
            const auto running = swarm.running();
            return std::none_of(running.begin(), running.end(), [&](NodeIndex node) {
                return swarm.averager(node).ghost();
            });
        });
        std::uint64_t committed = 0;
        std::uint64_t busy = 0;
        run.run_for(60s);
        for (const auto node : swarm.running()) {
            committed += swarm.averager(node).counters().committed;
            busy += swarm.averager(node).counters().busy;
        }
        ASSERT_TRUE(run.simulation.passed());
        EXPECT_GT(committed, 4 * busy) << hex(seed);
    }
}

/// A newcomer is killed at any moment of its arrival, and a peer while it recovers.
TEST(Sessions, WhoIsKilledWhileItFetchesKeepsNothingThatItNeverHad) {
    for (const auto seed : seeds(20)) {
        auto options = whole_peers(seed, 5);
        options.training->checkpoint_takes = 5ms;
        options.averaging->floats->locked = 0.5;
        options.training->diverge = 1e-3;
        WholeRun run(options);
        auto& swarm = run.swarm();
        swarm.start(0, {});
        swarm.start(1, {0});
        run.run_for(3s);
        Rng rng(seed);
        for (int i = 0; i < 40 && !run.simulation.checkers().violation(); ++i) {
            const auto node = static_cast<NodeIndex>(2 + rng.below(3));
            if (!swarm.exists(node)) swarm.start(node, {0, 1});
            run.run_for(from_seconds(rng.exponential(1.0)));
            if (swarm.state(node) == NodeState::Running) {
                swarm.crash(node, rng.chance(0.5) ? Power::Dark : Power::Stopped);
            }
        }
        ASSERT_TRUE(run.simulation.passed());
    }
}

TEST(Sessions, WhenAllHaveBeenDownThereIsOneSwarmAgain) {
    for (const auto seed : seeds(10)) {
        auto options = whole_peers(seed, 6);
        options.training->checkpoint_every = 5s;
        WholeRun run(options);
        auto& swarm = run.swarm();
        swarm.start_all(2s);
        run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
        run.run_for(20s);
        Rng rng(seed);
        for (NodeIndex node = 0; node < swarm.size(); ++node) {
            run.run_for(from_seconds(0.5 * rng.uniform()));
            if (!swarm.exists(node)) continue;
            swarm.crash(node, rng.chance(0.5) ? Power::Dark : Power::Stopped);
        }
        run.run_for(5s);
        // Nobody names a seed: each knows from its disk whom to ask.
        for (NodeIndex node = 0; node < swarm.size(); ++node) swarm.start(node, {});
        run.require_within(60s, "P6 one swarm again", [&] { return run.all_train(); });
        ASSERT_TRUE(run.simulation.passed());
        EXPECT_EQ(run.checkers.resumed(), swarm.size());
    }
}

TEST(Sessions, ADivergedPeerTakesTheParametersOfOthers) {
    for (const auto seed : seeds(4)) {
        auto options = whole_peers(seed, 6);
        options.training->diverge = 2e-4;
        WholeRun run(options);
        run.swarm().start_all(2s);
        run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
        run.run_for(120s);
        ASSERT_TRUE(run.simulation.passed());
    }
}

/// Nodes crash and return until the swarm ends. A node that has ended is not started again.
void crash_until_the_end(std::uint64_t seed, const std::string& target, Rng rng) {
    auto options = whole_peers(seed, 8);
    options.training->until = until(target);
    options.training->noise = 0.02;
    options.training->checkpoint_every = 5s;
    options.training->evaluate = from_seconds(0.2 * std::exp(3.9 * rng.uniform()));
    options.network.loss = 0.05;
    const double between_faults = 1.0 * std::exp(2.0 * rng.uniform());
    WholeRun run(options);
    auto& swarm = run.swarm();
    swarm.start_all(2s);
    run.require_within(kTrainWithin, "all train", [&] { return run.all_train(); });
    run.simulation.checkers().ignore_leaves();
    const auto give_up_at = swarm.now() + 900s;
    while (swarm.now() < give_up_at && run.checkers.finished() < swarm.size()) {
        if (!run.run_for(from_seconds(rng.exponential(between_faults)))) break;
        const auto node = static_cast<NodeIndex>(rng.below(swarm.size()));
        if (run.checkers.has_finished(node)) continue;
        if (swarm.state(node) == NodeState::Running) {
            swarm.crash(node, rng.chance(0.5) ? Power::Dark : Power::Stopped);
        } else if (!swarm.exists(node)) {
            swarm.start(node, swarm.running());
        }
    }
    ASSERT_TRUE(run.simulation.passed());
    EXPECT_GE(run.checkers.finished(), 1U) << hex(seed) << run.describe();
}

TEST(Sessions, EndsDoNotDifferWhileNodesCrashAndReturn) {
    for (const auto seed : seeds(20)) {
        Rng rng(seed);
        const bool by_samples = rng.chance(0.5);
        crash_until_the_end(seed, by_samples ? "samples=40000" : "accuracy=0.95", rng);
        if (HasFatalFailure()) return;
    }
}

TEST(Sessions, EpochsEndWhileNodesCrashAndReturn) {
    for (const auto seed : seeds(10)) {
        crash_until_the_end(seed, "epochs=60", Rng(seed));
        if (HasFatalFailure()) return;
    }
}

/// The swarm has faults; then everything is healed, and all must train.
TEST(RandomFaults, WholePeersTrainAsOneSwarmAfterwards) {
    for (const auto seed : seeds(15)) {
        FaultSchedule faults(seed, skipped_faults());
        WholeRun run(faults.draw_options_of_sessions());
        faults.prepare(run.swarm());
        run.swarm().start_all(1s);
        run.run_for(10s);
        faults.run_with_faults(run.simulation, 120s);
        faults.heal(run.simulation);
        run.require_within(180s, "P1 all train after the heal", [&] { return run.all_train(); });
        ASSERT_TRUE(run.simulation.passed(faults.story(), skipped_faults()));
    }
}

}  // namespace
}  // namespace starling::simulation
