// Goal: a schedule follows from file and seed alone, hits only peers that can be hit, and can be run
// again without the seed. Method: expand, compare, and read back what was written.

#include "peer/scenario/schedule.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <string>

#include "peer/scenario/parse.hpp"
#include "peer/scenario/words.hpp"

namespace starling::scenario {
namespace {

using namespace std::chrono_literals;

const std::string kStorm = R"(
[swarm]
peers = 8
[[step]]
when = "all train"
do = "cut half"
for = "20s"
[[step]]
when = "+1s"
do = "kill random 2"
[[step]]
do = "restart last"
[[step]]
do = "add 2 by random"
[[step]]
do = "pause newest"
[[step]]
do = "kill cut.2"
[[rate]]
do = "pause random"
every = "5s"
for = "1s"
until = "2m"
)";

Scenario read(const std::string& text) {
    auto scenario = parse(text, "file", Mode::Simulate);
    EXPECT_TRUE(scenario.has_value()) << scenario.error().message;
    return scenario ? *scenario : Scenario{};
}

std::string expanded(Scenario scenario, std::uint64_t seed) {
    scenario.seed = seed;
    return to_toml(*expand(scenario));
}

TEST(Schedule, FollowsFromTheSeedByteForByte) {
    const auto scenario = read(kStorm);
    EXPECT_EQ(expanded(scenario, 1), expanded(scenario, 1));
    EXPECT_NE(expanded(scenario, 1), expanded(scenario, 2));
}

TEST(Schedule, AClockGoesBackOnlyWhereItsPeerIsDown) {
    const auto steps =
        expand(read("[[step]]\ndo = \"kill peer 3\"\n[[step]]\ndo = \"clock random -1h\"\n"
                    "[[step]]\ndo = \"clock all +2s\"\n"));
    ASSERT_TRUE(steps.has_value()) << steps.error().message;
    EXPECT_EQ((*steps)[1].action.who, these({3}));
    EXPECT_EQ((*steps)[1].action.time, -1h);
    EXPECT_EQ((*steps)[2].action.who, these({1, 2, 4}));
    // So it stays refused when the peer was killed for a while, after which it runs.
    const auto refused = expand(
        read("[[step]]\ndo = \"kill peer 3\"\nfor = \"5s\"\n[[step]]\ndo = \"clock peer 3 -1h\"\n")
    );
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().message.substr(0, 24), "line 4, column 1: no clo");
}

TEST(Schedule, CanBeRunAgainWithoutTheSeed) {
    const auto once = expanded(read(kStorm), 5);
    const auto again = expanded(read("[swarm]\npeers = 8\n" + once), 77);
    EXPECT_EQ(once, again);
}

TEST(Schedule, NamesBecomePeers) {
    const auto steps = *expand(read(kStorm));
    ASSERT_GE(steps.size(), 7U);
    const auto& cut = steps[0].action;
    EXPECT_EQ(cut.who.peers.size(), 4U);
    EXPECT_EQ(cut.other.peers.size(), 4U);
    EXPECT_EQ(steps[1].action.who.peers.size(), 2U);
    EXPECT_EQ(steps[2].action.who, steps[1].action.who);
    EXPECT_EQ(steps[4].action.who, these({10}));
    EXPECT_EQ(steps[5].action.who, cut.other);
}

TEST(Schedule, AFaultHitsOnlyWhoIsThere) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        auto scenario = read(
            "[swarm]\npeers = 5\n[[step]]\ndo = \"kill random 2\"\n[[step]]\ndo = \"pause random "
            "3\"\n"
            "[[step]]\ndo = \"restart all\"\n[[step]]\ndo = \"resume all\"\n"
        );
        scenario.seed = seed;
        const auto steps = *expand(scenario);
        for (const auto peer : steps[1].action.who.peers) {
            const auto& dead = steps[0].action.who.peers;
            EXPECT_EQ(std::count(dead.begin(), dead.end(), peer), 0) << "seed " << seed;
        }
        EXPECT_EQ(steps[2].action.who, steps[0].action.who);
        EXPECT_EQ(steps[3].action.who, steps[1].action.who);
    }
}

TEST(Schedule, LastIsWhomTheStepBeforeHitAndWaitingHitsNobody) {
    const auto steps =
        *expand(read("[[step]]\ndo = \"kill peer 2\"\n[[step]]\ndo = \"wait whole\"\n"
                     "[[step]]\ndo = \"restart last\"\n"));
    EXPECT_EQ(steps[2].action.who, these({2}));
}

TEST(Schedule, AResolverGoesByWhatItSees) {
    auto scenario = read("[swarm]\npeers = 3\n");
    scenario.spare = 1;
    Resolver resolver(scenario);
    View view;
    view.peers.resize(3);
    for (auto& peer : view.peers) peer.started = peer.running = true;
    view.peers[1].running = false;  // by itself
    resolver.observe(view);
    Step step;
    step.action = *parse_action("restart all");
    ASSERT_TRUE(resolver.resolve(step).has_value());
    EXPECT_EQ(step.action.who, these({2}));
    step.action = *parse_action("add 1");
    EXPECT_TRUE(resolver.resolve(step).has_value());
    step.action = *parse_action("add 1");
    const auto more = resolver.resolve(step);
    ASSERT_FALSE(more.has_value());
    EXPECT_EQ(more.error().message, "only 0 peers can be added");
    step.action = *parse_action("kill cut.1");
    EXPECT_FALSE(resolver.resolve(step).has_value()) << "there was no cut";
}

TEST(Schedule, WhoHitsNobodyIsRefused) {
    const auto wrong = expand(read("[[step]]\ndo = \"restart random\"\n"));
    ASSERT_FALSE(wrong.has_value());
    EXPECT_NE(wrong.error().message.find("line 1"), std::string::npos) << wrong.error().message;
    EXPECT_FALSE(expand(read("[[step]]\ndo = \"kill last\"\n")).has_value());
    EXPECT_FALSE(expand(read("[[step]]\ndo = \"cut all\"\n")).has_value());
    EXPECT_FALSE(expand(read("[swarm]\npeers = 2\n[[step]]\ndo = \"kill minority\"\n")).has_value()
    );
}

TEST(Schedule, RatesHaveTheirMeanAndEnd) {
    auto scenario = read(
        "[swarm]\npeers = 8\n[[rate]]\ndo = \"pause random\"\nevery = \"1s\"\nfor = \"1s\"\n"
        "until = \"1000s\"\n"
    );
    const auto steps = *expand(scenario);
    EXPECT_NEAR(static_cast<double>(steps.size()), 1000.0, 150.0);  // 5 standard deviations
    for (const auto& step : steps) {
        EXPECT_LT(step.when.time, 1000s);
        EXPECT_TRUE(step.optional);
        EXPECT_EQ(step.action.who.peers.size(), 1U);
    }
    // The steps of a file do not change what a rate draws.
    const auto other = read(
        "[swarm]\npeers = 8\n[[step]]\ndo = \"pause random\"\nfor = \"1s\"\n[[rate]]\n"
        "do = \"pause random\"\nevery = \"1s\"\nfor = \"1s\"\nuntil = \"1000s\"\n"
    );
    auto rest = *expand(other);
    rest.erase(rest.begin());
    EXPECT_EQ(to_toml(steps), to_toml(rest));
}

}  // namespace
}  // namespace starling::scenario
