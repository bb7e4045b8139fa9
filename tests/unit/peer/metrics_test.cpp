// Goal: /metrics speaks Prometheus' text format where it is more than a name and a number. Method:
// plain values in, lines out.

#include "peer/metrics.hpp"

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
