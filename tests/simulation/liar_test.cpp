// Goal: a member that lies about others can make nobody fail, move or return from the dead
// (invariant S13), and cannot use the swarm to flood it. Method: one member has the swarm's key and
// behaves like the others, but for a minute it also sends many lies a second: accusations in its
// own and in others' names, verdicts, forged claims and goodbyes of others, invented ids, and
// replays of all that it has heard.

#include <gtest/gtest.h>
#include <vector>

#include "membership/codec.hpp"
#include "tests/simulation/simulation.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
using membership::MemberState;
using membership::Message;
using membership::Statement;

constexpr std::size_t kPeers = 16;
constexpr NodeIndex kLiar = 15;
constexpr Duration kLieEvery = 20ms;
constexpr std::size_t kHeardMax = 4096;

/// Keeps what the liar hears. Counts how often an honest node declares another honest node failed.
class Eavesdropper final : public peer_virtual::Observer {
public:
    void on_packet(NodeIndex, NodeIndex to, ByteView packet) override {
        if (to == kLiar && heard.size() < kHeardMax)
            heard.emplace_back(packet.begin(), packet.end());
    }

    void on_member_event(Instant, NodeIndex at, membership::EventKind kind, NodeIndex about)
        override {
        if (at == kLiar || about == kLiar) return;
        if (kind == membership::EventKind::Failed || kind == membership::EventKind::Left) ++deaths;
        if (kind == membership::EventKind::Moved) ++moves;
    }

    std::vector<Bytes> heard;
    std::uint64_t deaths = 0;
    std::uint64_t moves = 0;
};

class Liar {
public:
    Liar(Swarm& swarm, Eavesdropper& eavesdropper, std::uint64_t seed)
        : swarm_(swarm),
          eavesdropper_(eavesdropper),
          rng_(Rng(seed).fork(0x6c696172)) {}

    void lie() {
        const auto to = static_cast<NodeIndex>(rng_.below(kLiar));
        if (rng_.chance(0.2) && !eavesdropper_.heard.empty()) {
            swarm_.inject(kLiar, to, rng_.pick(std::span<const Bytes>(eavesdropper_.heard)));
            return;
        }
        std::vector<Message> lies;
        const auto count = 1 + rng_.below(5);
        for (std::uint64_t i = 0; i < count; ++i) lies.push_back(draw());
        // Sometimes the packet's sender is another peer, too.
        const auto sender = rng_.chance(0.3) ? anybody() : swarm_.id(kLiar);
        const membership::Packet packet{sender, std::move(lies)};
        swarm_.inject(
            kLiar, to, membership::encode(packet, membership::swarm_tag({}), membership::kPacketMax)
        );
    }

private:
    PeerId anybody() { return swarm_.id(static_cast<NodeIndex>(rng_.below(kPeers))); }

    Message draw() {
        const auto victim = static_cast<NodeIndex>(rng_.below(kLiar));
        Statement lie;
        lie.subject = swarm_.id(victim);
        lie.key = lie.subject.bytes;
        lie.incarnation = swarm_.swim(victim).incarnation();
        lie.address = Endpoint::v4(0x0a000001 + kLiar, 7946);
        lie.accuser = rng_.chance(0.5) ? swarm_.id(kLiar) : anybody();
        if (rng_.chance(0.2)) lie.incarnation.counter += rng_.below(1000);
        if (rng_.chance(0.1)) lie.incarnation.epoch += rng_.below(1000);
        const auto kind = rng_.below(6);
        if (kind == 4) return membership::Forgotten{lie.subject, lie.incarnation};
        if (kind == 5) {
            for (auto& byte : lie.key) byte = static_cast<std::uint8_t>(rng_.below(256));
            ++lie.incarnation.counter;
            return lie;
        }
        lie.state = static_cast<MemberState>(kind);
        if (!membership::is_accusation(lie.state)) ++lie.incarnation.counter;
        return lie;
    }

    Swarm& swarm_;
    Eavesdropper& eavesdropper_;
    Rng rng_;
};

TEST(Liar, CannotKillMoveOrRaiseAnybody) {
    for (const auto seed : seeds(6)) {
        peer_virtual::SwarmOptions options;
        options.peers = kPeers;
        options.seed = seed;
        options.network.loss = seed % 2 == 0 ? 0.02 : 0.0;
        Simulation simulation(options);
        auto& swarm = simulation.swarm();
        Eavesdropper eavesdropper;
        swarm.observe(eavesdropper);
        ASSERT_TRUE(simulation.form() || simulation.passed());
        Liar liar(swarm, eavesdropper, seed);
        for (int i = 0; i < 3000; ++i) {
            liar.lie();
            if (!simulation.run_for(kLieEvery)) break;
        }
        if (eavesdropper.deaths > 0) {
            simulation.checkers().report("S13 a liar kills nobody", kLiar, "an honest one died");
        }
        if (eavesdropper.moves > 0) {
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
