// Goal: when all have been down, the swarm goes on with the model that has learned the most, and nobody
// drags it back.
// Method: training without noise, which only lowers the mean of the squares of the parameters. So that
// mean says how far a model has come, and one that rises has lost what it had learned.

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <vector>

#include "tests/simulation/whole_run.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
using peer_virtual::Power;

/// A ghost keeps a 256th of what it had, so its first exchanges as a full member move others by less. Half
/// of the way back would be a factor of ten.
constexpr double kLost = 1.1;

double mean_square(const std::vector<float>& values) {
    double sum = 0.0;
    for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
    return sum / static_cast<double>(values.size());
}

peer_virtual::SwarmOptions without_noise(std::uint64_t seed, std::size_t peers) {
    auto options = whole_peers(seed, peers);
    options.training->noise = 0.0;
    options.training->rate = 1e-3;
    options.training->checkpoint_every = 5s;
    return options;
}

/// A swarm that has lost a minority, has trained on, and has been killed.
class ReturnRun : public WholeRun {
public:
    ReturnRun(std::uint64_t seed, std::size_t peers, std::size_t minority)
        : WholeRun(without_noise(seed, peers)),
          minority_(minority),
          rng(seed) {
        swarm().start_all(2s);
        require_within(120s, "all train", [&] { return all_train(); });
        run_for(10s);
        for (NodeIndex node = 0; node < minority_; ++node) kill(node);
        run_for(150s);
        for (NodeIndex node = 0; node < swarm().size(); ++node) kill(node);
        run_for(1s);
    }

    void start(NodeIndex node) {
        swarm().start(node, {});
        const auto& resumed = swarm().session(node)->resumed();
        if (resumed) came_with[node] = mean_square(resumed->parameters);
    }

    /// Runs on, and checks that nobody of the majority loses what it came with.
    void look_on(Duration duration) {
        const auto until = swarm().now() + duration;
        while (swarm().now() < until && run_for(100ms)) look();
    }

    void look() {
        for (const auto& [node, before] : came_with) {
            if (node < minority_ || swarm().state(node) != NodeState::Running) continue;
            if (dragged_back || swarm().floats(node).mean_square() <= kLost * before) continue;
            dragged_back = true;
            ADD_FAILURE() << "node " << node << " is dragged back at "
                          << to_seconds(swarm().now() - Instant{}) << " s:" << standings();
        }
    }

    /// Returns what each node says of its model, for people.
    [[nodiscard]] std::string standings() {
        std::string text;
        for (const auto node : swarm().running()) {
            const auto record = swarm().session(node)->session().record();
            text += "\n  node " + std::to_string(node) + ": " +
                    std::string(to_string(record.state)) + (record.ghost ? ", ghost, " : ", ") +
                    std::to_string(record.learned) + " learned, mean square " +
                    std::to_string(swarm().floats(node).mean_square()) + ", came with " +
                    std::to_string(came_with[node]);
        }
        return text;
    }

    [[nodiscard]] bool all_count() {
        const auto running = swarm().running();
        return all_train() && std::none_of(running.begin(), running.end(), [&](NodeIndex node) {
                   return swarm().averager(node).ghost();
               });
    }

    void require_one_swarm_of_the_best() {
        const auto last = swarm().now();
        require_within(15s, "P6 all count in one sum", [&] {
            look();
            return all_count();
        });
        took = swarm().now() - last;
        EXPECT_FALSE(dragged_back);
        double best = 0.0;
        for (const auto& [node, before] : came_with) {
            if (node >= minority_) best = std::max(best, before);
        }
        for (const auto node : swarm().running()) {
            EXPECT_LE(swarm().floats(node).mean_square(), kLost * best) << node;
        }
        ASSERT_TRUE(simulation.passed());
    }

    std::map<NodeIndex, double> came_with;
    bool dragged_back = false;
    Duration took{};

private:
    void kill(NodeIndex node) {
        if (swarm().exists(node)) {
            swarm().crash(node, rng.chance(0.5) ? Power::Dark : Power::Stopped);
        }
    }

    std::size_t minority_;

public:
    Rng rng;
};

TEST(Returns, InAnyOrderTheSwarmGoesOnWithTheMostAdvancedModel) {
    for (const auto seed : seeds(12)) {
        SCOPED_TRACE(hex(seed));
        ReturnRun run(seed, 8, 3);
        std::vector<std::pair<Duration, NodeIndex>> order;
        for (NodeIndex node = 0; node < 8; ++node) {
            order.emplace_back(from_seconds(10.0 * run.rng.uniform()), node);
        }
        std::sort(order.begin(), order.end());
        Duration at{};
        for (const auto& [when, node] : order) {
            run.look_on(when - at);
            at = when;
            run.start(node);
        }
        run.require_one_swarm_of_the_best();
        if (HasFatalFailure()) return;
    }
}

TEST(Returns, AMinorityThatHasCountedItselfInGivesWayToTheMajority) {
    for (const auto seed : seeds(8)) {
        SCOPED_TRACE(hex(seed));
        ReturnRun run(seed, 5, 2);
        run.start(0);
        run.start(1);
        run.look_on(20s);
        EXPECT_FALSE(run.swarm().averager(0).ghost()) << "nobody else is there";
        EXPECT_FALSE(run.swarm().averager(1).ghost());
        run.start(2);
        run.look_on(5s);
        run.start(3);
        run.start(4);
        run.require_one_swarm_of_the_best();
        if (HasFatalFailure()) return;
    }
}

TEST(Returns, OfTwoThatHaveTheSameOneCountsItselfInAndTheOtherPulls) {
    for (const auto seed : seeds(8)) {
        SCOPED_TRACE(hex(seed));
        ReturnRun run(seed, 4, 0);
        for (NodeIndex node = 0; node < 4; ++node) run.start(node);
        std::size_t counted_alone = 0;
        for (int i = 0; i < 100 && !run.all_count(); ++i) {
            run.look_on(100ms);
            std::size_t counts = 0;
            for (NodeIndex node = 0; node < 4; ++node) {
                counts += run.swarm().averager(node).ghost() ? 0U : 1U;
            }
            if (counts == 1) ++counted_alone;
        }
        EXPECT_GT(counted_alone, 0U) << "others pull from one";
        run.require_one_swarm_of_the_best();
        if (HasFatalFailure()) return;
    }
}

}  // namespace
}  // namespace starling::simulation
