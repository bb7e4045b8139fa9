// Goal: the exit code is 0 exactly when every survivor did what the user asked for. Method: one
// good run, and each way to spoil it.

#include "peer/fleet/outcome.hpp"

#include <algorithm>
#include <csignal>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "peer/fleet/launch.hpp"
#include "peer/fleet/live_table.hpp"

namespace starling::peer {
namespace {

std::vector<PeerView> good_run() {
    std::vector<PeerView> peers(3);
    for (std::size_t i = 0; i < peers.size(); ++i) {
        peers[i].index = i + 1;
        peers[i].id = std::string(64, static_cast<char>('a' + i));
        peers[i].samples = 1000;
        peers[i].exit = ProcessExit{0, 0};
        peers[i].final_report = FinalReport{0.86, 0.40, 0.001, 9.0, 1000, 100, 10, 5000};
    }
    return peers;
}

TEST(Verdict, GoodRunIsZero) {
    const auto verdict = judge(good_run(), *Until::parse("accuracy=0.85"));
    EXPECT_EQ(verdict.exit_code, 0);
    EXPECT_EQ(verdict.reason, "");
}

TEST(Verdict, AnyQualityIsHeldAgainstTheTarget) {
    auto peers = good_run();
    for (auto& peer : peers) peer.final_report->goal = 0.79;
    EXPECT_EQ(judge(peers, *Until::parse("auc=0.78")).exit_code, 0);
    EXPECT_EQ(judge(peers, *Until::parse("bpb=0.8")).exit_code, 0);
    // The target was met on the valid split, and the accuracy in the report is that of the test split.
    EXPECT_EQ(judge(peers, *Until::parse("accuracy=0.785")).exit_code, 0);
    peers[1].final_report->goal = 0.81;
    EXPECT_EQ(
        judge(peers, *Until::parse("bpb=0.8")).reason,
        "peer 2 reached bpb 0.8100, the target was 0.8"
    );
    peers[1].final_report->goal.reset();
    EXPECT_EQ(
        judge(peers, *Until::parse("auc=0.78")).reason,
        "peer 2 reported no auc, the target was 0.78"
    );
}

TEST(Verdict, PeerKilledByChaosIsNoFailure) {
    auto peers = good_run();
    peers[0].hit = true;
    peers[0].exit = ProcessExit{0, SIGKILL};
    peers[0].final_report.reset();
    EXPECT_EQ(judge(peers, {}).exit_code, 0);
}

TEST(Verdict, PeerKilledBySomebodyElseIsOne) {
    auto peers = good_run();
    peers[1].exit = ProcessExit{0, SIGSEGV};
    peers[1].last_error_line = "CHECK failed";
    const auto verdict = judge(peers, {});
    EXPECT_EQ(verdict.exit_code, 1);
    EXPECT_EQ(verdict.reason, "peer 2 ended with SIGSEGV; it last said: CHECK failed");
}

TEST(Verdict, FinalReportDoesNotExcuseABadExit) {
    auto peers = good_run();
    peers[2].exit = ProcessExit{1, 0};
    EXPECT_EQ(judge(peers, {}).reason, "peer 3 ended with exit code 1");
    peers[2].exit = ProcessExit{0, 0};
    peers[2].final_report.reset();
    EXPECT_EQ(judge(peers, {}).reason, "peer 3 ended without a final report");
}

TEST(Verdict, EachSurvivorMustReachTheTarget) {
    auto peers = good_run();
    peers[1].final_report->accuracy = 0.8499;
    EXPECT_EQ(
        judge(peers, *Until::parse("accuracy=0.85")).reason,
        "peer 2 reached accuracy 0.8499, the target was 0.85"
    );
    EXPECT_EQ(judge(peers, *Until::parse("samples=3000")).exit_code, 0);
    peers[1].final_report->loss.reset();
    EXPECT_EQ(
        judge(peers, *Until::parse("loss=0.5")).reason,
        "peer 2 reported no loss, the target was 0.5"
    );
}

TEST(Verdict, NobodyLeftIsAFailure) {
    auto peers = good_run();
    for (auto& peer : peers) peer.hit = true;
    EXPECT_EQ(judge(peers, {}).reason, "no peer survived");
    EXPECT_EQ(judge({}, {}).exit_code, 1);
}

TEST(Summary, CountsTheSamplesOfTheDeadButListsTheLiving) {
    auto peers = good_run();
    peers[0].hit = true;
    peers[0].final_report.reset();
    const auto summary = nlohmann::json::parse(summary_json(peers, 10.0));
    EXPECT_EQ(summary["event"], "summary");
    ASSERT_EQ(summary["peers"].size(), 2U);
    EXPECT_EQ(summary["peers"][0]["id"], std::string(64, 'b'));
    EXPECT_EQ(summary["samples"], 3000);
    EXPECT_EQ(summary["samples_per_s"], 300.0);
    EXPECT_EQ(summary["bytes"], 10000);
}

TEST(Summary, NamesOnlyModelsThatWereWritten) {
    auto peers = good_run();
    (void)apply_line(peers[0], R"({"event":"final","model":"/s/1/checkpoint"})");
    (void)apply_line(peers[1], R"({"event":"final","model":""})");
    const auto summary = nlohmann::json::parse(summary_json(peers, 10.0));
    EXPECT_EQ(summary["peers"][0]["model"], "/s/1/checkpoint");
    EXPECT_EQ(summary["peers"][1]["model"], nullptr);
}

TEST(Summary, SaysWhichShareOfPrivateSamplesTookPartToTheLast) {
    auto peers = good_run();
    EXPECT_FALSE(nlohmann::json::parse(summary_json(peers, 10.0)).contains("share"));
    (void)apply_line(peers[0], R"({"event":"final","share":1.0})");
    (void)apply_line(peers[1], R"({"event":"final","share":0.75})");
    (void)apply_line(peers[2], R"({"event":"final","share":null})");
    EXPECT_EQ(nlohmann::json::parse(summary_json(peers, 10.0))["share"], 0.75);
    FleetView swarm;
    swarm.peers = peers;
    const auto lines = render_summary(swarm);
    EXPECT_NE(lines.back().find("75.0 % of the data took part"), std::string::npos) << lines.back();
}

TEST(Launch, EachPeerGetsItsShareOfThreadsAndItsOwnSeedAndState) {
    SwarmOptions options;
    options.program = "/bin/starling";
    options.peers = 4;
    options.threads = 2;
    options.seed = 10;
    options.state = "/tmp/swarm";
    const auto process = peer_process(options, 3, {"127.0.0.1:7000", true});
    const std::vector<std::string> expected = {
        "peer",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--json",
        "--name",
        "peer-3",
        "--threads",
        "1",
        "--seed",
        "12",
        "--state",
        "/tmp/swarm/peer-3",
        "--join",
        "127.0.0.1:7000"};
    EXPECT_EQ(process.arguments, expected);
}

TEST(Launch, EverySecondPeerIsOfTheOtherRelease) {
    SwarmOptions options;
    options.program = "/bin/starling";
    EXPECT_EQ(peer_process(options, 2, {"127.0.0.1:7000", true}).program, "/bin/starling");
    options.other_program = "/opt/starling";
    EXPECT_EQ(peer_process(options, 1, {"", true}).program, "/bin/starling");
    EXPECT_EQ(peer_process(options, 2, {"127.0.0.1:7000", true}).program, "/opt/starling");
    EXPECT_EQ(peer_process(options, 3, {"127.0.0.1:7000", true}).program, "/bin/starling");
}

TEST(Launch, WhatHoldsForEachPeerIsPassedOnAsItWasGiven) {
    SwarmOptions options;
    options.upload_limit = "10Mbit";
    options.weight_max = "16";
    options.precision = "bf16";
    options.kernels = "fixed";
    options.device = "reference";
    for (const auto& join : {"", "127.0.0.1:7000"}) {
        const auto given = peer_process(options, 1, {join, true}).arguments;
        for (const auto& [flag, value] :
             {std::pair("--upload-limit", "10Mbit"),
              {"--weight-max", "16"},
              {"--precision", "bf16"},
              {"--kernels", "fixed"},
              {"--device", "reference"}}) {
            const auto at = std::find(given.begin(), given.end(), flag);
            ASSERT_TRUE(at != given.end() && at + 1 != given.end()) << flag;
            EXPECT_EQ(*(at + 1), value);
        }
    }
}

}  // namespace
}  // namespace starling::peer
