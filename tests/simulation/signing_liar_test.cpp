// Goal: a member that signs whatever it may sign about itself ends no swarm before its time, keeps
// none from its target, and makes nobody count what was not trained (invariant S14: what a peer holds
// as another's signed word, that one has said). Method: whole peers train in virtual time, and for the
// whole run one of them also signs and sends absurd records of its own, forges those of others, and
// invents peers that it signs for.

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <vector>

#include "peer/terms/record.hpp"
#include "peer/virtual/liars.hpp"
#include "tests/simulation/simulation.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t kPeers = 5;
constexpr Duration kLieEvery = 200ms;
/// It is honest for so long: what a peer says at first is all that others know of it.
constexpr Duration kHonestFor = 10s;

peer_virtual::SwarmOptions whole_peers(
    std::uint64_t seed, std::size_t peers, const std::string& until
) {
    peer_virtual::SwarmOptions options;
    options.peers = peers;
    options.seed = seed;
    peer_virtual::AveragingOptions averaging;
    averaging.config.encoding = gossip::Encoding::F32;
    averaging.floats = peer_virtual::FloatVector::Shape{4, 64, 0.05};
    options.averaging = averaging;
    options.training.emplace().until = *peer::Until::parse(until);
    return options;
}

/// Looks at what the honest nodes do while the liar lies.
struct Watch {
    Simulation& simulation;
    Swarm& swarm;
    std::map<NodeIndex, std::uint64_t>
        trained{};  ///< samples of each node, its last lives included
    std::uint32_t newest_round = 0;
    std::size_t held = 0;  ///< signed words that were compared

    void look(const peer_virtual::RecordLiar& liar) {
        const auto running = swarm.running();
        for (const auto node : running) {
            const auto* session = swarm.session(node);
            if (session == nullptr) continue;
            auto& samples = trained[node];
            samples = std::max(samples, session->session().report().samples);
        }
        for (const auto node : running) {
            const auto* session = swarm.session(node);
            if (session == nullptr || node == liar.node()) continue;
            newest_round = std::max(newest_round, session->session().ending().round());
            for (NodeIndex other = 0; other < swarm.size(); ++other) compare(node, other, liar);
        }
    }

    void compare(NodeIndex node, NodeIndex other, const peer_virtual::RecordLiar& liar) {
        const auto bytes = swarm.swim(node).signed_record(swarm.id(other));
        if (bytes.empty()) return;
        ++held;
        const auto record = peer::decode_record(bytes);
        if (!record) return simulation.checkers().report("S14 a signed word", node, "unreadable");
        const bool lies =
            other == liar.node() &&
            std::any_of(liar.said().begin(), liar.said().end(), [&](const Bytes& said) {
                return std::ranges::equal(said, bytes);
            });
        if (!lies && record->samples > trained[other] + 1000) {
            simulation.checkers().report("S14 nobody's word is forged", node, "too many samples");
        }
    }

    [[nodiscard]] std::uint64_t honest() const {
        std::uint64_t sum = 0;
        for (const auto& [node, samples] : trained) sum += node + 1 == swarm.size() ? 0 : samples;
        return sum;
    }
};

/// Runs the swarm until all honest nodes have ended, and lies meanwhile.
void run_with_liar(
    const peer_virtual::SwarmOptions& options, Duration honest_for, const auto& judge
) {
    Simulation simulation(options);
    auto& swarm = simulation.swarm();
    swarm.start_all(2s);
    const auto last = static_cast<NodeIndex>(swarm.size() - 1);
    peer_virtual::RecordLiar liar(swarm, last, Rng(options.seed).fork(0x7369676e));
    Watch watch{simulation, swarm};
    const auto ended = [&] {
        const auto running = swarm.running();
        return std::none_of(running.begin(), running.end(), [&](NodeIndex node) {
            return node != liar.node();
        });
    };
    simulation.run_for(honest_for);
    for (int i = 0; i < 5 * 600 && !ended(); ++i) {
        if (swarm.state(liar.node()) == peer_virtual::NodeState::Running) liar.lie();
        if (!simulation.run_for(kLieEvery)) break;
        watch.look(liar);
    }
    if (!ended())
        simulation.checkers().report("P8 liars keep nobody from ending", 0, "not in 600 s");
    judge(watch, simulation);
    ASSERT_TRUE(simulation.passed());
    EXPECT_GT(watch.held, 0U);
    EXPECT_FALSE(liar.said().empty());
}

TEST(SigningLiar, MakesNobodyCountSamplesThatWereNotTrained) {
    constexpr std::uint64_t kTarget = 20'000;
    for (const auto seed : seeds(4)) {
        run_with_liar(
            whole_peers(seed, kPeers, "samples=20000"),
            kHonestFor,
            [&](const Watch& watch, Simulation& simulation) {
                // The liar's own count is bounded by its speed and time, as if it had trained.
                if (watch.honest() < kTarget / 4) {
                    simulation.checkers().report(
                        "P9 a liar ends nobody", 0, std::to_string(watch.honest()) + " samples"
                    );
                }
            }
        );
    }
}

void opens_few_rounds(const Watch& watch, Simulation& simulation) {
    if (watch.newest_round > 30) {
        simulation.checkers().report(
            "P10 a liar opens no rounds", 0, std::to_string(watch.newest_round)
        );
    }
}

TEST(SigningLiar, NeitherEndsARoundNorKeepsATargetFromBeingReached) {
    for (const auto seed : seeds(4)) {
        run_with_liar(whole_peers(seed, kPeers, "accuracy=0.95"), Duration{}, opens_few_rounds);
    }
}

/// Where it is one of few, and has never said anything true.
TEST(SigningLiar, OfAFewMembersLiesFromItsFirstWordAndTheOthersStillEnd) {
    for (const auto seed : seeds(3)) {
        for (const std::size_t peers : {2U, 3U, 4U}) {
            SCOPED_TRACE(std::to_string(peers) + " peers");
            run_with_liar(whole_peers(seed, peers, "accuracy=0.95"), Duration{}, opens_few_rounds);
        }
    }
}

}  // namespace
}  // namespace starling::simulation
