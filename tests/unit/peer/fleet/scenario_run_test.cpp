// Goal: a plain run starts the peers that the user asked for, passes on what they print, and carries
// out chaos in its order. Its exit code says whether all ended well. Method: real child
// processes of a stand-in peer (fake_peer.py), which prints the JSON lines and trains nothing.

#include "peer/fleet/scenario_run.hpp"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "peer/scenario/built_in.hpp"
#include "peer/scenario/schedule.hpp"

namespace starling::peer {
namespace {

using nlohmann::json;

struct Run {
    int exit_code = -1;
    std::vector<json> events;
    std::string errors;

    [[nodiscard]] std::vector<json> of(const std::string& event) const {
        std::vector<json> found;
        for (const auto& object : events) {
            if (object.value("event", "") == event) found.push_back(object);
        }
        return found;
    }
};

SwarmOptions sample_options() {
    SwarmOptions options;
    options.program = FAKE_PEER;
    options.peers = 3;
    options.threads = 7;
    options.seed = 1;
    options.dataset = "toy";
    options.until = "steps=60";
    options.founder_flags = {{"--model", "mlp"}};
    options.output = OutputMode::Json;
    return options;
}

Run run_fake(const SwarmOptions& options, const char* fake = "wait=2", const char* chaos = "") {
    ::setenv("STARLING_FAKE", fake, 1);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Run run;
    const auto file = scenario::built_in(chaos, options.peers);
    ScenarioJob job;
    job.scenario = *file;
    job.steps = *scenario::expand(*file);
    job.plain = true;
    job.target = *Until::parse(options.until);
    run.exit_code = run_scenario(options, job).code;
    run.errors = testing::internal::GetCapturedStderr();
    std::istringstream lines(testing::internal::GetCapturedStdout());
    for (std::string line; std::getline(lines, line);) {
        run.events.push_back(json::parse(line, nullptr, false));
        EXPECT_TRUE(run.events.back().is_object()) << line;
    }
    return run;
}

bool holds(const json& arguments, const std::string& word) {
    return std::find(arguments.begin(), arguments.end(), json(word)) != arguments.end();
}

TEST(PlainRun, AllPeersTrainAndTheSummaryComesLast) {
    const auto run = run_fake(sample_options());
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    EXPECT_EQ(run.errors, "");
    EXPECT_EQ(run.of("listening").size(), 3U);
    EXPECT_EQ(run.of("final").size(), 3U);
    for (const auto& event : run.of("progress")) EXPECT_TRUE(event.contains("peer"));
    ASSERT_FALSE(run.events.empty());
    const auto& summary = run.events.back();
    EXPECT_EQ(summary["event"], "summary");
    EXPECT_EQ(summary["peers"].size(), 3U);
    EXPECT_EQ(summary["peers"][0]["accuracy"], 0.9);
    EXPECT_EQ(summary["bytes"], 3000);
    EXPECT_EQ(summary["samples"], 3 * 32 * 60);
}

TEST(PlainRun, OnlyTheFounderIsConfiguredAndThreadsAreShared) {
    const auto run = run_fake(sample_options());
    const auto founded = run.of("founded");
    const auto joined = run.of("joined");
    ASSERT_EQ(founded.size(), 1U);
    ASSERT_EQ(joined.size(), 2U);
    EXPECT_TRUE(holds(founded[0]["arguments"], "--model"));
    EXPECT_TRUE(holds(founded[0]["arguments"], "--until"));
    EXPECT_EQ(founded[0]["omp"], "2");
    for (const auto& joiner : joined) {
        EXPECT_TRUE(holds(joiner["arguments"], "--join"));
        EXPECT_TRUE(holds(joiner["arguments"], "--dataset"));
        EXPECT_FALSE(holds(joiner["arguments"], "--model"));
        EXPECT_FALSE(holds(joiner["arguments"], "--until"));
    }
}

TEST(PlainRun, WithoutAWordOnThreadsThePeersShareAllCores) {
    auto options = sample_options();
    options.threads = 0;
    options.peers = 1;
    EXPECT_EQ(threads_of_each(options), std::max(1U, std::thread::hardware_concurrency()));
    EXPECT_EQ(SwarmOptions().threads, 0U);
    options.peers = 1 << 16;
    EXPECT_EQ(threads_of_each(options), 1U);
}

TEST(PlainRun, PrecisionIsEachPeersOwn) {
    auto options = sample_options();
    options.precision = "bf16";
    const auto run = run_fake(options);
    for (const auto* event : {"founded", "joined"}) {
        for (const auto& peer : run.of(event)) {
            EXPECT_TRUE(holds(peer["arguments"], "--precision")) << event;
            EXPECT_TRUE(holds(peer["arguments"], "bf16")) << event;
        }
    }
    EXPECT_EQ(run.of("joined").size(), 2U);
}

TEST(PlainRun, ChaosKillsTheFounderAndANewcomerJoinsByASurvivorWithNothingElse) {
    auto options = sample_options();
    options.until = "steps=600";
    const auto run = run_fake(options, "wait=2,victim=1,linger=3", "founder-crash,late-join");
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    const auto chaos = run.of("fault");
    ASSERT_EQ(chaos.size(), 2U);
    EXPECT_EQ(chaos[0]["do"], "kill peer 1");
    EXPECT_EQ(chaos[1]["do"], "add 1 by peer 3");
    EXPECT_EQ(run.of("member").size(), 2U);  // both survivors noticed, before the newcomer came
    const auto joined = run.of("joined");
    ASSERT_EQ(joined.size(), 3U);
    EXPECT_FALSE(holds(joined[2]["arguments"], "--dataset"));
    const auto listening = run.of("listening");
    for (const auto& event : listening) {
        if (event["peer"] == 3) {
            EXPECT_TRUE(holds(joined[2]["arguments"], event["listen"]));
        }
    }
    EXPECT_EQ(run.events.back()["peers"].size(), 3U);
}

TEST(PlainRun, TrainingThatEndsBeforeChaosIsAnError) {
    auto options = sample_options();
    const auto run = run_fake(options, "wait=2", "founder-crash");
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_EQ(run.errors, "starling swarm: training ended before 'kill peer 1' could be done\n");
}

TEST(PlainRun, PeerThatDiesByItselfIsNamedAndTheOthersGoOn) {
    const auto run = run_fake(sample_options(), "wait=2,crash=2");
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_EQ(run.of("final").size(), 2U);
    EXPECT_NE(
        run.errors.find(
            "starling swarm: peer 2 ended with exit code 3; it last said: out of cheese\n"
        ),
        std::string::npos
    ) << run.errors;
}

TEST(PlainRun, PeerWithoutAFinalReportIsAFailure) {
    const auto run = run_fake(sample_options(), "wait=2,silent=3");
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_NE(run.errors.find("peer 3 ended without a final report"), std::string::npos);
}

TEST(PlainRun, ConfigurationThatTheFounderRefusesIsAUsageError) {
    const auto run = run_fake(sample_options(), "refuse=1");
    EXPECT_EQ(run.exit_code, 2);
    EXPECT_TRUE(run.events.empty());
    EXPECT_NE(
        run.errors.find("starling swarm: --model: there is no 'nonsense'\n"), std::string::npos
    );
}

TEST(PlainRun, MissedTargetIsAFailureThatSaysByHowMuch) {
    auto options = sample_options();
    options.until = "accuracy=0.95";
    const auto run = run_fake(options);
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_EQ(run.errors, "starling swarm: peer 1 reached accuracy 0.9000, the target was 0.95\n");
}

TEST(PlainRun, MissingPeerBinaryFailsAtOnce) {
    auto options = sample_options();
    options.program = "/no/such/starling";
    const auto run = run_fake(options);
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_NE(run.errors.find("cannot start /no/such/starling"), std::string::npos);
}

}  // namespace
}  // namespace starling::peer
