// Goal: peers that measure how often they average keep every promise of averaging, take the share of the
// time that they may, and go on when they are alone, when a link drops to a tenth, and among liars. Method:
// swarms in virtual time in which an exchange costs what the test says; exact integers under random faults.

#include <gtest/gtest.h>

#include "tests/simulation/fault_schedule.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
using gossip::IntervalBy;
using peer_virtual::SwarmOptions;

/// Peers without faults whose steps take 10 ms.
SwarmOptions automatic(std::size_t peers, std::uint64_t seed, Duration cost) {
    SwarmOptions o;
    o.peers = peers;
    o.seed = seed;
    o.averaging.emplace();
    o.averaging->config.encoding = gossip::Encoding::Exact64;
    o.averaging->automatic = true;
    o.averaging->mix_every = 10ms;
    o.averaging->exchange_cost = cost;
    return o;
}

TEST(AutomaticMixing, TakesItsShareOfTheTime) {
    auto o = automatic(4, 3, 5ms);
    o.averaging->config.encoding = gossip::Encoding::F32;
    o.averaging->floats = peer_virtual::FloatVector::Shape{4, 64, 0.0};
    Simulation simulation(o);
    auto& swarm = simulation.swarm();
    ASSERT_TRUE(simulation.form());
    simulation.run_for(10s);
    std::vector<std::uint64_t> before;
    for (NodeIndex i = 0; i < swarm.size(); ++i) {
        before.push_back(swarm.averager(i).counters().started);
    }
    simulation.run_for(60s);
    for (NodeIndex i = 0; i < swarm.size(); ++i) {
        const auto& interval = *swarm.interval(i);
        EXPECT_EQ(interval.by(), IntervalBy::Cost);
        EXPECT_NEAR(to_seconds(interval.interval()), 0.5, 0.01);
        EXPECT_NEAR(interval.cost_share(), 0.02, 1e-3);
        const auto opened = static_cast<double>(swarm.averager(i).counters().started - before[i]);
        EXPECT_NEAR(opened, 120, 12) << "two a second; some find their partner busy";
    }
    EXPECT_TRUE(simulation.passed());
}

TEST(AutomaticMixing, WithoutAPartnerWaitsForOne) {
    Simulation simulation(automatic(2, 5, 1ms));
    auto& swarm = simulation.swarm();
    swarm.start(0, {});
    simulation.run_for(20s);
    EXPECT_EQ(swarm.interval(0)->by(), IntervalBy::Alone);
    EXPECT_EQ(swarm.averager(0).counters().started, 0U);
    swarm.start(1, {0});
    EXPECT_TRUE(
        simulation.run_until([&] { return swarm.averager(0).counters().committed >= 10; }, 10s)
    );
    EXPECT_NE(swarm.interval(0)->by(), IntervalBy::Alone);
    EXPECT_TRUE(simulation.passed());
}

TEST(AutomaticMixing, OverALinkThatDropsToATenthGoesOnOneAfterTheOther) {
    auto o = automatic(2, 7, 1ms);
    o.averaging->config.encoding = gossip::Encoding::F32;
    o.averaging->floats = peer_virtual::FloatVector::Shape{4, 25'000, 0.0};
    o.averaging->config.adapt_window = true;
    o.network.uplink = 4e7;
    Simulation simulation(o);
    auto& swarm = simulation.swarm();
    ASSERT_TRUE(simulation.form());
    simulation.run_for(10s);
    EXPECT_EQ(swarm.interval(0)->by(), IntervalBy::Cost);
    auto slow = o.network;
    slow.uplink /= 10;
    swarm.network().set_options(slow);
    simulation.run_for(10s);
    const auto before = swarm.averager(0).counters();
    simulation.run_for(20s);
    const auto after = swarm.averager(0).counters();
    EXPECT_EQ(swarm.interval(0)->by(), IntervalBy::Link);
    EXPECT_EQ(after.aborted, 0U);
    // 400 kB take 0.1 s each way, and both open exchanges.
    EXPECT_GT(after.committed - before.committed, 60U);
    swarm.network().set_options(o.network);
    simulation.run_for(5s);
    EXPECT_EQ(swarm.interval(0)->by(), IntervalBy::Cost);
    EXPECT_TRUE(simulation.passed());
}

/// Forms, has faults for a while, and must be whole again after everything is healed.
void endure(Simulation& simulation, FaultSchedule& faults) {
    simulation.swarm().start_all(1s);
    simulation.run_for(5s);
    faults.run_with_faults(simulation, 90s);
    faults.heal(simulation);
    simulation.require_within(120s, "S3 whole after the heal", [&] {
        return simulation.swarm().whole();
    });
    simulation.swarm().stop_training();
}

/// Makes what was drawn automatic: exchanges cost so much that they come after each step, or after ten.
void make_automatic(SwarmOptions& o, std::uint64_t seed) {
    auto rng = Rng(seed).fork(0x6175746f);
    o.averaging->automatic = true;
    o.averaging->sync = false;
    o.averaging->exchange_cost =
        from_seconds(to_seconds(o.averaging->mix_every) * 0.1 * rng.uniform());
}

TEST(AutomaticMixing, KeepsTheInvariantsUnderRandomFaults) {
    for (const auto seed : seeds(25)) {
        FaultSchedule faults(seed);
        auto o = faults.draw_options();
        make_automatic(o, seed);
        Simulation simulation(o);
        auto& swarm = simulation.swarm();
        faults.prepare(swarm);
        endure(simulation, faults);
        simulation.require_within(240s, "A3 all meet after the heal", [&] {
            return swarm.spread() <= 1;
        });
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed(faults.story())) << "seed " << seed;
    }
}

TEST(AutomaticMixing, KeepsTheInvariantsAmongLiars) {
    for (const auto seed : seeds(10)) {
        FaultSchedule faults(seed);
        auto o = faults.draw_options_with_liars();
        o.averaging->config.mix = {};
        make_automatic(o, seed);
        auto expectations = expectations_of(o);
        expectations.value_max = 1e6F;
        Simulation simulation(o, expectations);
        endure(simulation, faults);
        simulation.finish_exchanges();
        ASSERT_TRUE(simulation.passed(faults.story())) << "seed " << seed;
    }
}

TEST(AutomaticMixing, OfWholePeersEndsWithThem) {
    for (const auto seed : seeds(3)) {
        auto o = automatic(4, seed, 2ms);
        o.averaging->automatic = false;  // their terms say it
        o.averaging->config.encoding = gossip::Encoding::F32;
        o.averaging->floats = peer_virtual::FloatVector::Shape{4, 64, 0.05};
        o.training.emplace();
        o.training->mix_every.by = peer::MixBy::Auto;
        o.training->until = *peer::Until::parse("steps=600");
        Simulation simulation(o);
        auto& swarm = simulation.swarm();
        swarm.start_all(2s);
        ASSERT_TRUE(simulation.run_until(
            [&] {
                const auto* session = swarm.session(0);
                return session != nullptr && session->session().report().steps > 400;
            },
            120s
        ));
        for (const auto node : swarm.running()) {
            ASSERT_TRUE(swarm.interval(node).has_value());
            EXPECT_NE(swarm.interval(node)->by(), IntervalBy::Start);
            EXPECT_NE(swarm.interval(node)->by(), IntervalBy::Alone);
            EXPECT_GT(swarm.averager(node).counters().committed, 10U);
        }
        EXPECT_TRUE(simulation.run_until([&] { return swarm.running().empty(); }, 300s));
        EXPECT_TRUE(simulation.passed());
    }
}

}  // namespace
}  // namespace starling::simulation
