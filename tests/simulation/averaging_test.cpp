// Goal: averaging keeps its promises about whole swarms in virtual time: the mean does not change
// (A1, A2), the spread contracts as theory says (A3), no exchange hangs (A4), replays change
// nothing (A6), and a dead partner costs one deadline (A9). Method: the parameters are exact 64-bit
// integers, so means are compared exactly. A book pairs every addition with its opposite and so
// knows which chunks only one side has applied.

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "tests/simulation/simulation.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
using peer_virtual::AveragingOptions;
using peer_virtual::Power;
using peer_virtual::SwarmOptions;

SwarmOptions options(std::size_t peers, std::uint64_t seed) {
    SwarmOptions options;
    options.peers = peers;
    options.seed = seed;
    options.averaging.emplace();
    options.averaging->config.encoding = gossip::Encoding::Exact64;
    return options;
}

/// Returns the sum of each element over all running nodes.
std::vector<std::int64_t> sums(const Swarm& swarm) {
    std::vector<std::int64_t> total;
    for (const auto node : swarm.running()) {
        const auto& values = swarm.vector(node).values();
        total.resize(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) total[i] += values[i];
    }
    return total;
}

/// Returns the sum over all elements of the squared distances from the mean.
double variance(const Swarm& swarm) {
    const auto nodes = swarm.running();
    const auto total = sums(swarm);
    double v = 0.0;
    for (const auto node : nodes) {
        const auto& values = swarm.vector(node).values();
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double mean = static_cast<double>(total[i]) / static_cast<double>(nodes.size());
            const double off = static_cast<double>(values[i]) - mean;
            v += off * off;
        }
    }
    return v;
}

TEST(SwarmAveraging, MeanIsKeptExactlyAndAllMeet) {
    std::size_t exact = 0;
    for (const auto seed : seeds(6)) {
        auto o = options(12, seed);
        o.averaging->shape.locked = 0.2;
        o.averaging->config.window_bytes = 32;
        o.network.loss = 0.05;
        Simulation simulation(o);
        auto& swarm = simulation.swarm();
        swarm.quiesce();
        ASSERT_TRUE(simulation.form() || simulation.passed());
        const auto before = sums(swarm);
        const auto spread_before = swarm.spread();
        swarm.resume_mixing();
        simulation.require_within(2min, "A3 all meet", [&] { return swarm.spread() <= 1; });
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed());
        EXPECT_GT(spread_before, 1000U);
        // Losses may delay a reply beyond its deadline. finish_exchanges() has checked the ledger
        // for that.
        std::uint64_t half_applied = 0;
        for (const auto node : swarm.running()) half_applied += swarm.book().open(node);
        if (half_applied > 0) continue;
        ++exact;
        EXPECT_EQ(sums(swarm), before) << repeat_command(seed);
    }
    EXPECT_GT(exact, 0U);
}

TEST(SwarmAveraging, BrokenStreamsMoveTheMeanOnlyByWhatTheLedgersCount) {
    std::uint64_t half_applied = 0;
    for (const auto seed : seeds(8)) {
        auto o = options(10, seed);
        o.averaging->shape = {8, 2, 0.1};
        o.averaging->config.window_bytes = 48;
        o.averaging->train_every = 700ms;
        o.network.stream_reset = 0.02;
        Simulation simulation(o);
        simulation.form();
        simulation.run_for(2min);
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed());
        for (const auto node : simulation.swarm().running()) {
            half_applied += simulation.swarm().book().open(node);
        }
    }
    EXPECT_GT(half_applied, 0U) << "the test must exercise half-applied chunks";
}

TEST(SwarmAveraging, SpreadContractsAsTheoryPredicts) {
    // Each exchange of a uniformly random pair leaves V (1 - 1/(n-1)) in the mean, that is e^(-m/2)
    // after m exchanges per node (Boyd et al., "Randomized gossip algorithms", 2006). A perfect
    // matching of n/2 exchanges leaves V (n-2)/(2(n-1)), which is faster because no node is idle.
    // Each of our nodes opens one exchange a second and answers at random: the result must lie
    // between these two.
    double measured = 0.0;
    double random_pairs = 0.0;
    double matchings = 0.0;
    constexpr std::size_t kPeers = 32;
    for (const auto seed : seeds(6)) {
        auto o = options(kPeers, seed);
        o.averaging->range = std::int64_t{1} << 40U;
        o.averaging->mix_every = 1s;
        Simulation simulation(o);
        auto& swarm = simulation.swarm();
        swarm.quiesce();
        ASSERT_TRUE(simulation.form() || simulation.passed());
        const double before = variance(swarm);
        swarm.resume_mixing();
        simulation.run_for(10s);
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed());
        std::uint64_t exchanges = 0;
        for (const auto node : swarm.running()) {
            const auto& counters = swarm.averager(node).counters();
            EXPECT_EQ(counters.aborted, 0U) << repeat_command(seed);
            exchanges += counters.committed;
        }
        measured += std::log(variance(swarm) / before);
        // Both sides count a commit, so the number of exchanges is half of the count.
        const double pairs = static_cast<double>(exchanges) / 2;
        random_pairs += pairs * std::log(1.0 - 1.0 / (kPeers - 1));
        matchings += pairs / (kPeers / 2.0) * std::log((kPeers - 2) / (2.0 * (kPeers - 1)));
    }
    EXPECT_LT(random_pairs, -10.0) << "the test must see many exchanges";
    EXPECT_LE(measured, 0.97 * random_pairs);
    EXPECT_GE(measured, 1.03 * matchings);
}

TEST(SwarmAveraging, TwoPeersInLockstepMeetInsteadOfSwapping) {
    for (const auto seed : seeds(10)) {
        auto o = options(2, seed);
        o.averaging->lockstep = true;
        // The delay is constant and the same both ways, so every pair of requests crosses.
        o.network.jitter = Duration::zero();
        Simulation simulation(o);
        auto& swarm = simulation.swarm();
        ASSERT_TRUE(simulation.form() || simulation.passed());
        simulation.require_within(10s, "A3 two meet", [&] { return swarm.spread() <= 1; });
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed());
        const auto collapsed =
            swarm.averager(0).counters().collapsed + swarm.averager(1).counters().collapsed;
        EXPECT_GT(collapsed, 0U) << "the test must exercise crossing requests";
    }
}

TEST(SwarmAveraging, WholeSwarmInLockstepDoesNotLockUp) {
    for (const auto seed : seeds(6)) {
        auto o = options(8, seed);
        o.averaging->lockstep = true;
        o.network.jitter = Duration::zero();
        Simulation simulation(o);
        auto& swarm = simulation.swarm();
        ASSERT_TRUE(simulation.form() || simulation.passed());
        simulation.require_within(2min, "A4 all meet", [&] { return swarm.spread() <= 1; });
        ASSERT_TRUE(simulation.passed());
    }
}

TEST(SwarmAveraging, ReplayedFramesChangeNothing) {
    for (const auto seed : seeds(8)) {
        auto o = options(6, seed);
        o.averaging->replay = 0.2;
        o.averaging->shape.chunks = 5;
        o.averaging->config.window_bytes = 64;
        Simulation simulation(o, {.allow_rejected = true});
        auto& swarm = simulation.swarm();
        swarm.quiesce();
        ASSERT_TRUE(simulation.form() || simulation.passed());
        const auto before = sums(swarm);
        swarm.resume_mixing();
        simulation.run_for(60s);
        EXPECT_GT(simulation.checkers().committed(), 100U) << repeat_command(seed);
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed());
        std::uint64_t half_applied = 0;
        for (const auto node : swarm.running()) half_applied += swarm.book().open(node);
        if (half_applied > 0) continue;
        EXPECT_EQ(sums(swarm), before) << repeat_command(seed);
    }
}

/// Counts the exchanges with one partner after it has died.
class CostOfTheDead final : public peer_virtual::Observer {
public:
    CostOfTheDead(const Swarm& swarm, NodeIndex dead)
        : dead_(dead),
          known_(swarm.size(), false),
          id_(swarm.id(dead)) {}

    void on_member_event(Instant, NodeIndex at, membership::EventKind kind, NodeIndex about)
        override {
        if (about == dead_ && kind == membership::EventKind::Failed) known_[at] = true;
    }

    void on_exchange(Instant, NodeIndex at, const gossip::ExchangeEvent& event) override {
        if (event.partner != id_ || !event.initiator) return;
        if (event.outcome == gossip::Outcome::Collapsed) return;
        ++failed;
        longest = std::max(longest, event.duration);
        // An exchange that runs when the news comes ends then. No later one may begin.
        if (known_[at] && event.duration > Duration::zero()) ++after_the_news;
    }

    std::size_t failed = 0;
    std::size_t after_the_news = 0;
    Duration longest{};

private:
    NodeIndex dead_;
    std::vector<bool> known_;
    PeerId id_;
};

TEST(SwarmAveraging, DeadPartnerCostsAtMostADeadlineAndIsNotChosenOnceKnown) {
    for (const auto seed : seeds(6)) {
        const auto o = options(6, seed);
        Simulation simulation(o);
        auto& swarm = simulation.swarm();
        ASSERT_TRUE(simulation.form() || simulation.passed());
        simulation.run_for(5s);
        CostOfTheDead cost(swarm, 2);
        swarm.observe(cost);
        swarm.crash(2, Power::Dark);
        simulation.run_for(15s);
        EXPECT_EQ(swarm.swim(0).alive_count(), 5U) << repeat_command(seed);
        simulation.run_for(60s);
        ASSERT_TRUE(simulation.passed());
        EXPECT_GT(cost.failed, 0U) << repeat_command(seed);
        EXPECT_LE(cost.longest, 2 * o.averaging->config.deadline_base) << repeat_command(seed);
        // One event per survivor may report an exchange that the news has ended.
        EXPECT_LE(cost.after_the_news, 5U) << repeat_command(seed);
    }
}

TEST(SwarmAveraging, SurvivorsGoOnMixingWhenPeersComeAndGo) {
    for (const auto seed : seeds(6)) {
        auto o = options(10, seed);
        o.averaging->train_every = 1s;
        Simulation simulation(o);
        auto& swarm = simulation.swarm();
        ASSERT_TRUE(simulation.form() || simulation.passed());
        for (const NodeIndex victim : {4U, 7U, 0U, 4U}) {
            swarm.crash(victim, victim == 7 ? Power::Dark : Power::Stopped);
            simulation.run_for(3s);
            swarm.start(victim, {1, 2});
            simulation.run_for(10s);
        }
        const auto committed = simulation.checkers().committed();
        simulation.run_for(30s);
        EXPECT_GT(simulation.checkers().committed(), committed + 100) << repeat_command(seed);
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed());
    }
}

TEST(SwarmAveraging, SameSeedGivesTheSameRunEventForEvent) {
    const auto run = [](std::uint64_t seed) {
        auto o = options(8, seed);
        o.network.loss = 0.1;
        o.network.stream_reset = 0.01;
        o.averaging->shape.locked = 0.1;
        Simulation simulation(o);
        simulation.form();
        simulation.run_for(30s);
        return simulation.swarm().trace_hash();
    };
    EXPECT_EQ(run(1), run(1));
    EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace starling::simulation
