// Goal: a member that lies about others can make nobody fail, move or return from the dead
// (invariant S13), and cannot use the swarm to flood it. Method: one member has the swarm's key and
// behaves like the others, but for a minute it also sends many lies a second: accusations in its
// own and in others' names, verdicts, forged claims and goodbyes of others, invented ids, and
// replays of all that it has heard.

#include <gtest/gtest.h>

#include "peer/virtual/liars.hpp"
#include "tests/simulation/simulation.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPeers = 16;
constexpr NodeIndex kLiar = 15;
constexpr Duration kLieEvery = 20ms;

/// Counts how often an honest node declares another honest node failed.
class Deaths final : public peer_virtual::Observer {
public:
    void on_member_event(Instant, NodeIndex at, membership::EventKind kind, NodeIndex about)
        override {
        if (at == kLiar || about == kLiar) return;
        if (kind == membership::EventKind::Failed || kind == membership::EventKind::Left) ++deaths;
        if (kind == membership::EventKind::Moved) ++moves;
    }

    std::uint64_t deaths = 0;
    std::uint64_t moves = 0;
};

TEST(Liar, CannotKillMoveOrRaiseAnybody) {
    for (const auto seed : seeds(6)) {
        peer_virtual::SwarmOptions options;
        options.peers = kPeers;
        options.seed = seed;
        options.network.loss = seed % 2 == 0 ? 0.02 : 0.0;
        Simulation simulation(options);
        auto& swarm = simulation.swarm();
        Deaths honest;
        swarm.observe(honest);
        peer_virtual::MemberLiar liar(swarm, kLiar, Rng(seed).fork(0x6c696172));
        ASSERT_TRUE(simulation.form() || simulation.passed());
        for (int i = 0; i < 3000; ++i) {
            liar.lie();
            if (!simulation.run_for(kLieEvery)) break;
        }
        if (honest.deaths > 0) {
            simulation.checkers().report("S13 a liar kills nobody", kLiar, "an honest one died");
        }
        if (honest.moves > 0) {
            simulation.checkers().report("S13 a liar moves nobody", kLiar, "an honest one moved");
        }
        simulation.require_within(20s, "S3 whole once the lies end", [&] { return swarm.whole(); });
        ASSERT_TRUE(simulation.passed());
        std::uint64_t forged = 0;
        std::uint64_t throttled = 0;
        for (NodeIndex i = 0; i < kLiar; ++i) {
            EXPECT_EQ(swarm.swim(i).members().size(), kPeers) << "an invented id got in";
            forged += swarm.swim(i).counters().forged;
            throttled += swarm.swim(i).counters().throttled;
        }
        EXPECT_GT(forged, 0U);
        EXPECT_GT(throttled, 0U);
    }
}

}  // namespace
}  // namespace starling::simulation
