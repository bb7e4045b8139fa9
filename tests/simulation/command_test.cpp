// Goal: `starling simulate` understands its flags and refuses wrong ones with a message, and a
// campaign gives the same summary for the same seed.
// Method: a CLI11 app with this subcommand only runs short campaigns.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <gtest/gtest.h>

#include "peer/commands/commands.hpp"
#include "peer/virtual/campaign.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;

/// Parses and runs a command line. Returns the exit code of the parser or of the command, and what
/// it has printed.
int simulate(const std::string& flags, std::string& out) {
    CLI::App app;
    std::function<int()> chosen;
    peer::add_simulate(app, chosen);
    try {
        app.parse("simulate " + flags, false);
    } catch (const CLI::ParseError& error) {
        out = error.what();
        return 2;
    }
    testing::internal::CaptureStdout();
    const int code = chosen();
    out = testing::internal::GetCapturedStdout();
    return code;
}

TEST(Simulate, PrintsOneJsonObject) {
    std::string out;
    ASSERT_EQ(simulate("--peers 8 --duration 90s --seed 3 --loss 1% --crash 2/min --json", out), 0);
    EXPECT_EQ(out.front(), '{');
    EXPECT_EQ(out.find('\n'), out.size() - 1);
    EXPECT_NE(out.find("\"peers\":8"), std::string::npos);
    EXPECT_NE(out.find("\"false_failures\":0"), std::string::npos);
}

TEST(Simulate, WrongValuesAreUsageErrorsThatNameTheFlag) {
    for (const std::string flag :
         {"--loss 120%",
          "--loss lots",
          "--crash 10",
          "--duration 5parsecs",
          "--duration -1s",
          "--partition 9m",
          "--mix median",
          "--mix push-sum --encoding lattice8",
          "--mix pairwise --share 7",
          "--mix-every sometimes --mix pairwise",
          "--mix-every 0 --mix pairwise",
          "--mix-every 2000000 --mix pairwise",
          "--mix-every 500ms --mix pairwise --sync",
          "--exchange-cost dear --mix pairwise",
          "--bandwidth wide",
          "--bandwidth 0kbit",
          "--kill 120%",
          "--loss-burst long",
          "--downlink 0Mbit",
          "--pause 3",
          "--fault-time 0s",
          "--clock-error 20000",
          "--weights 7,heavy",
          "--weights 1,2,3 --peers 2 --mix pairwise",
          "--peers 0"}) {
        std::string out;
        EXPECT_EQ(simulate(flag, out), 2) << flag;
        const bool shares = flag.find("--share") != std::string::npos;
        const auto named = shares ? "--share" : flag.substr(0, flag.find(' '));
        EXPECT_NE(out.find(named), std::string::npos) << out;
    }
}

TEST(Simulate, AveragesByEachRuleAndTellsHowFarThePeersAreFromTheirMean) {
    for (const std::string mix :
         {"pairwise",
          "push-sum",
          "noloco?alpha=0.3",
          "pairwise --sync",
          "pairwise --weights 7,3,0,-2",
          "pairwise --mix-every 250ms",
          "pairwise --mix-every auto",
          "noloco --mix-every auto"}) {
        std::string out;
        const auto flags = "--peers 8 --duration 20s --seed 3 --params 500 --json --mix " + mix;
        ASSERT_EQ(simulate(flags, out), 0) << mix;
        EXPECT_NE(out.find("\"averaging\":{\"rule\":"), std::string::npos);
        const auto last = out.rfind("[20.0,");
        ASSERT_NE(last, std::string::npos) << out;
        EXPECT_LT(std::stod(out.substr(last + 6)), 1e-3) << mix;
        const bool waits = out.find("\"waiting_share\":0.0000") == std::string::npos;
        EXPECT_EQ(waits, mix == "pairwise --sync");
    }
}

TEST(Simulate, SaysByItsExitCodeThatASwarmNeverFormed) {
    std::string out;
    EXPECT_EQ(simulate("--peers 3 --duration 1s --loss 100% --latency 4s", out), 1);
    EXPECT_NE(out.find("formed after     never"), std::string::npos) << out;
    EXPECT_EQ(simulate("--peers 3 --duration 0s", out), 0);
    EXPECT_EQ(out.find("nan"), std::string::npos) << out;
}

TEST(Simulate, KillsAShareAtOneInstantAndPublishesRecordsUnlessToldNotTo) {
    std::string out;
    const std::string flags = "--peers 12 --seed 2 --json";
    ASSERT_EQ(simulate(flags + " --duration 60s --kill 50% --at 10s", out), 0);
    EXPECT_NE(out.find("\"crashes\":6,\"undetected\":0"), std::string::npos) << out;
    const auto bytes = [&](const std::string& more) {
        EXPECT_EQ(simulate(flags + " --duration 10m" + more, out), 0);
        const std::string key = "\"datagram_bytes_per_second\":";
        return std::stod(out.substr(out.find(key) + key.size()));
    };
    EXPECT_GT(bytes(""), bytes(" --membership-only") + 50.0);
}

/// Returns what stands in a summary under a key, up to the next comma.
std::string value_of(const std::string& json, const std::string& key) {
    const auto at = json.find("\"" + key + "\":");
    if (at == std::string::npos) return "";
    const auto begin = at + key.size() + 3;
    return json.substr(begin, json.find(',', begin) - begin);
}

TEST(Simulate, EachFaultIsInTheRunAndTheSwarmIsWholeAfterIt) {
    const std::string flags = "--peers 12 --seed 5 --duration 100s --json ";
    std::string out;
    ASSERT_EQ(simulate(flags, out), 0);
    const auto plain = value_of(out, "trace");
    ASSERT_EQ(simulate(flags + "--fault-time 7s", out), 0);
    EXPECT_EQ(value_of(out, "trace"), plain) << "without a rate it means nothing";
    for (const std::string fault :
         {"--loss 10% --loss-burst 300ms",
          "--downlink 100kbit",
          "--duplicate 10%",
          "--reset 20%",
          "--pause 4/min --fault-time 3s",
          "--leave 2/min",
          "--one-way 1/min --fault-time 20s",
          "--clog 2/min --fault-time 5s",
          "--flap 1",
          "--slow 30%",
          "--clock-error 5000"}) {
        EXPECT_EQ(simulate(flags + fault, out), 0) << fault << out;
        EXPECT_NE(value_of(out, "trace"), plain) << fault;
    }
}

TEST(Simulate, ASlowUplinkFullOfParametersMakesNoFalseFailure) {
    std::string out;
    const std::string flags =
        "--peers 8 --seed 1 --duration 2m --mix pairwise --params 200000 --bandwidth 1Mbit --json";
    ASSERT_EQ(simulate(flags, out), 0) << out;
    EXPECT_EQ(value_of(out, "false_failures"), "0");
    EXPECT_EQ(value_of(out, "false_suspicions"), "0");
    const auto counts = out.find("\"exchanges_by_peer\":[");
    ASSERT_NE(counts, std::string::npos);
    const auto list = out.substr(counts, out.find(']', counts) - counts);
    EXPECT_EQ(std::count(list.begin(), list.end(), ','), 7) << list;
}

TEST(Campaign, DetectsCrashesHealsThePartitionAndRepeatsItself) {
    peer_virtual::CampaignOptions options;
    options.peers = 24;
    options.duration = 6min;
    options.seed = 11;
    options.crashes_per_minute = 3.0;
    options.partition = 60s;
    const auto summary = run_campaign(options);
    EXPECT_GT(summary.crashes, 5U);
    EXPECT_EQ(summary.undetected, 0U);
    EXPECT_GT(summary.detected_all.count, 0U);
    EXPECT_GE(summary.detected_all.p50, summary.detected_first.p50);
    EXPECT_EQ(summary.false_failures, 0U);
    ASSERT_TRUE(summary.heal_seconds.has_value());
    EXPECT_LT(*summary.heal_seconds, 30.0);
    EXPECT_EQ(to_json(run_campaign(options)), to_json(summary));
    options.seed = 12;
    EXPECT_NE(run_campaign(options).trace, summary.trace);
}

}  // namespace
}  // namespace starling::simulation
