// Goal: /metrics has Prometheus' text format, also where this is more than a name and a number, and
// shows every counter. Method: give plain values and compare the lines.

#include "peer/observe/metrics.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <gtest/gtest.h>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace starling::peer {
namespace {

TEST(Metrics, TimesAreHistogramsWhoseBucketsHoldAllBelowThem) {
    StatusInputs inputs;
    inputs.lag.add(std::chrono::microseconds(300));
    inputs.lag.add(std::chrono::milliseconds(7));
    inputs.lag.add(std::chrono::seconds(2));
    inputs.membership.round_trips.add(std::chrono::milliseconds(3));
    const auto text = render_metrics(inputs);
    for (const auto* line :
         {"# TYPE starling_loop_lag_seconds histogram\n",
          "starling_loop_lag_seconds_bucket{le=\"0.0002\"} 0\n",
          "starling_loop_lag_seconds_bucket{le=\"0.0005\"} 1\n",
          "starling_loop_lag_seconds_bucket{le=\"0.005\"} 1\n",
          "starling_loop_lag_seconds_bucket{le=\"0.01\"} 2\n",
          "starling_loop_lag_seconds_bucket{le=\"0.5\"} 2\n",
          "starling_loop_lag_seconds_bucket{le=\"+Inf\"} 3\n",
          "starling_loop_lag_seconds_sum 2.0073\n",
          "starling_loop_lag_seconds_count 3\n",
          "\nstarling_loop_lag_max_seconds 2\n",
          "# TYPE starling_probe_rtt_seconds histogram\n",
          "starling_probe_rtt_seconds_bucket{le=\"0.002\"} 0\n",
          "starling_probe_rtt_seconds_bucket{le=\"0.005\"} 1\n",
          "starling_probe_rtt_seconds_count 1\n",
          "\nstarling_probe_rtt_max_seconds 0.003\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
    }
}

TEST(Metrics, WhatWentWrongIsCountedByItsReason) {
    StatusInputs inputs;
    inputs.session.emplace();
    inputs.session->averaging.misdeeds[static_cast<std::size_t>(gossip::Misdeed::Lie)] = 3;
    const auto text = render_metrics(inputs);
    for (const auto* line :
         {"# TYPE starling_exchange_violations_total counter\n",
          "starling_exchange_violations_total{reason=\"lie\"} 3\n",
          "starling_exchange_violations_total{reason=\"size\"} 0\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
    }
}

TEST(Metrics, ACheckpointThatCannotBeWrittenShows) {
    StatusInputs inputs;
    inputs.session.emplace();
    inputs.session->checkpoints.written = 4;
    inputs.session->checkpoints.failed = 2;
    inputs.session->checkpoints.error = "no room";
    inputs.session->shard_files.failed = 3;
    EXPECT_EQ(render_metrics(inputs).find("checkpoint_age"), std::string::npos) << "there is none";
    inputs.session->checkpoint_age = std::chrono::milliseconds(2500);
    const auto text = render_metrics(inputs);
    for (const auto* line :
         {"\nstarling_checkpoints_written_total 4\n",
          "\nstarling_checkpoints_failed_total 2\n",
          "\nstarling_checkpoint_failing 1\n",
          "\nstarling_checkpoint_age_seconds 2.5\n",
          "\nstarling_shard_files_failed_total 3\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
    }
}

/// Gives each 64-bit word of a struct of counters a value of its own, from `first` upwards.
template <class Counters>
void number_all(Counters& counters, std::uint64_t first) {
    std::array<std::uint64_t, sizeof(Counters) / sizeof(std::uint64_t)> words{};
    for (auto& word : words) word = first++;
    std::memcpy(static_cast<void*>(&counters), words.data(), sizeof(words));
}

TEST(Metrics, EveryCounterIsShownUnderItsOwnName) {
    StatusInputs inputs;
    inputs.session.emplace();
    number_all(inputs.links, 70'001);
    number_all(inputs.session->averaging, 80'001);
    const auto text = render_metrics(inputs);
    const auto shown = [&text](std::uint64_t value) {
        return text.find(" " + std::to_string(value) + "\n") != std::string::npos;
    };
    constexpr std::size_t kLinks = sizeof(LinkCounters) / sizeof(std::uint64_t);
    for (std::size_t i = 0; i < kLinks; ++i) EXPECT_TRUE(shown(70'001 + i)) << i;
    // The first misdeed, None, is no reason and is not shown.
    const auto none = inputs.session->averaging.misdeeds[0];
    constexpr std::size_t kAveraging = sizeof(gossip::AveragerCounters) / sizeof(std::uint64_t);
    for (std::size_t i = 0; i < kAveraging; ++i) {
        EXPECT_EQ(shown(80'001 + i), 80'001 + i != none) << i;
    }
    inputs.membership = {};
    inputs.membership.probes_by_stream = 90'001;
    inputs.membership.reflected = 90'002;
    inputs.seal.replayed = 90'003;
    const auto membership = render_metrics(inputs);
    for (const auto* line :
         {"\nstarling_probes_by_stream_total 90001\n",
          "\nstarling_datagrams_reflected_total 90002\n",
          "\nstarling_datagrams_replayed_total 90003\n"}) {
        EXPECT_NE(membership.find(line), std::string::npos) << line;
    }
}

TEST(Metrics, TheShareOfTimeThatStepsWaitForDataIsShown) {
    StatusInputs inputs;
    inputs.session.emplace();
    inputs.session->data_wait = 0.25;
    inputs.session->longest_step = std::chrono::milliseconds(500);
    const auto metrics = render_metrics(inputs);
    EXPECT_NE(metrics.find("\nstarling_data_wait 0.25\n"), std::string::npos);
    EXPECT_NE(metrics.find("\nstarling_longest_step_seconds 0.5\n"), std::string::npos);
}

TEST(Metrics, TheDeviceShowsOnceThereIsAnEngine) {
    StatusInputs inputs;
    auto& device = inputs.session.emplace().device;
    EXPECT_EQ(render_metrics(inputs).find("starling_device_info"), std::string::npos);
    device = {"opencl:0", "Arc \"A\"", "", 8000, 500, 0.25, 2};
    const auto text = render_metrics(inputs);
    for (const auto* line :
         {"\nstarling_device_failures_total 2\n",
          "\nstarling_device_info{device=\"opencl:0\",model=\"Arc \\\"A\\\"\"} 1\n",
          "\nstarling_device_memory_bytes 8000\n",
          "\nstarling_device_memory_used_bytes 500\n",
          "\nstarling_device_step_seconds 0.25\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
    }
}

TEST(Metrics, EveryFamilyHasOneHelpAndOneType) {
    StatusInputs inputs;
    inputs.session.emplace();
    const auto text = render_metrics(inputs);
    const std::regex head("# HELP (starling_[a-z_]+) [^\n]+\n# TYPE (starling_[a-z_]+) [a-z]+\n\\1"
    );
    const auto begin = std::sregex_iterator(text.begin(), text.end(), head);
    std::set<std::string> names;
    for (auto it = begin; it != std::sregex_iterator(); ++it) {
        EXPECT_EQ((*it)[1], (*it)[2]);
        EXPECT_TRUE(names.insert((*it)[1]).second) << (*it)[1];
    }
    EXPECT_GT(names.size(), 50U);
}

}  // namespace
}  // namespace starling::peer
