// Goal: a swarm is readable at any width, and malformed lines of peers change nothing. Method: the
// golden text of small views, and lines as peers print them, right and wrong.

#include "peer/fleet/live_table.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "peer/fleet/outcome.hpp"

namespace starling::peer {
namespace {

FleetView sample_swarm() {
    FleetView swarm;
    swarm.seconds = 72.4;
    swarm.until = "accuracy=0.85";
    swarm.peers.resize(2);
    auto& first = swarm.peers[0];
    first.index = 1;
    first.id = "3fa9c21b" + std::string(56, '0');
    apply_line(
        first,
        R"({"event":"progress","state":"training","steps":1234,"samples":39488,
            "samples_per_s":12345.6,"loss":0.4123,"test_loss":1.7051,"accuracy":0.8432,"spread":0.0012,
            "exchanges":35,"shards":48,"held":12,"swarm_samples":2500000,"target":true})"
    );
    auto& second = swarm.peers[1];
    second.index = 2;
    second.id = "77aa0001" + std::string(56, '0');
    apply_line(second, R"({"event":"progress","state":"joining","accuracy":null,"steps":0})");
    return swarm;
}

TEST(LiveTable, ShowsEverythingWhenThereIsRoom) {
    const std::vector<std::string> expected = {
        "starling swarm  1:12  2.50M samples  12.3k/s  until accuracy=0.85 (1 of 2 there)",
        "peer          state          steps  samples/s     loss  test loss  accuracy    spread"
        "  exchanges     shards",
        "  1 3fa9c21b  training        1234      12.3k   0.4123     1.7051    0.8432    0.0012"
        "         35      12/48",
        "  2 77aa0001  joining            0          0        -          -         -         0"
        "          0        0/0",
    };
    EXPECT_EQ(render_table(sample_swarm(), {120, 24}), expected);
}

TEST(LiveTable, NarrowTerminalKeepsWhatMatters) {
    const std::vector<std::string> expected = {
        "starling swarm  1:12  2.50M samples  12.3",
        "peer          state       test loss  accuracy",
    };
    const auto lines = render_table(sample_swarm(), {45, 24});
    EXPECT_EQ(lines[1], expected[1]);
    for (std::size_t width = 1; width < 120; ++width) {
        for (const auto& line : render_table(sample_swarm(), {width, 24})) {
            EXPECT_LE(line.size(), width);
        }
    }
}

TEST(LiveTable, NeverTallerThanTheScreen) {
    auto swarm = sample_swarm();
    swarm.peers.resize(50);
    const auto lines = render_table(swarm, {80, 12});
    EXPECT_EQ(lines.size(), 11U);
    EXPECT_EQ(lines.back(), "... and 42 more");
}

TEST(LiveTable, CompactLineSpansThePeers) {
    auto swarm = sample_swarm();
    EXPECT_EQ(
        render_line(swarm),
        "  1:12  2.50M samples  12.3k/s  loss 0.4123  test loss 1.7051  accuracy 0.8432  spread "
        "0.0012  1 training"
    );
    apply_line(swarm.peers[1], R"({"event":"progress","accuracy":0.7,"state":"training"})");
    EXPECT_NE(render_line(swarm).find("accuracy 0.7000..0.8432"), std::string::npos);
}

TEST(LiveTable, SummaryTellsEachPeersEnd) {
    auto swarm = sample_swarm();
    auto& first = swarm.peers[0];
    apply_line(
        first,
        R"({"event":"final","accuracy":0.861,"loss":0.39,"samples":400000,"steps":12500,
            "spread":0.001,"seconds":70,"bytes":12300000,"exchanges":350})"
    );
    first.exit = ProcessExit{0, 0};
    swarm.peers[1].hit = true;
    const std::vector<std::string> expected = {
        "peer           accuracy  test loss    samples     steps    spread  exchanges",
        "   1 3fa9c21b    0.8610     0.3900     400000     12500     0.001        350",
        "   2 77aa0001  killed",
        "72.4 s, 400000 samples (5525/s), 12.3 MB exchanged",
    };
    EXPECT_EQ(render_summary(swarm), expected);
}

TEST(LiveTable, APeerThatWasAskedToLeaveShowsWhatItReached) {
    FleetView swarm;
    swarm.seconds = 10;
    PeerView peer;
    peer.index = 1;
    peer.id = "0123456789";
    peer.steps = 100;
    peer.samples = 6400;
    peer.loss = 0.1;
    peer.test_loss = 0.5;
    peer.accuracy = 0.75;
    swarm.peers = {peer};
    EXPECT_NE(render_summary(swarm)[1].find("no final report"), std::string::npos);
    swarm.peers[0].exit = ProcessExit{0, 0};
    const auto lines = render_summary(swarm);
    for (const auto* number : {"0.7500", "0.5000", "6400", "100"}) {
        EXPECT_NE(lines[1].find(number), std::string::npos) << lines[1];
    }
    EXPECT_EQ(lines[2], "10.0 s, 6400 samples (640/s)");
    EXPECT_NE(summary_json(swarm.peers, 10).find(R"("final":false)"), std::string::npos);
}

TEST(PeerView, OddLinesLeaveTheViewAsItWas) {
    PeerView view;
    view.steps = 7;
    view.loss = 0.5;
    EXPECT_EQ(apply_line(view, "hello").kind, PeerEventKind::NotJson);
    EXPECT_EQ(apply_line(view, "[1,2]").kind, PeerEventKind::NotJson);
    EXPECT_EQ(apply_line(view, "{\"event\":").kind, PeerEventKind::NotJson);
    EXPECT_EQ(apply_line(view, R"({"event":5})").kind, PeerEventKind::Other);
    EXPECT_EQ(apply_line(view, R"({"event":"brand-new","steps":9})").kind, PeerEventKind::Other);
    EXPECT_EQ(
        apply_line(view, R"({"event":"progress","steps":-4,"loss":"low","state":1})").kind,
        PeerEventKind::Progress
    );
    EXPECT_EQ(view.steps, 7U);
    EXPECT_EQ(view.loss, 0.5);
    EXPECT_EQ(view.state, "starting");
    EXPECT_FALSE(with_peer_index("hello", 1).has_value());
    EXPECT_EQ(with_peer_index(R"({"a":1})", 3), R"({"a":1,"peer":3})");
}

}  // namespace
}  // namespace starling::peer
