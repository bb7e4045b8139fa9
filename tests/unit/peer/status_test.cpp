// Goal: /metrics speaks Prometheus' text format where it is more than a name and a number. Method:
// plain values in, lines out.

#include "peer/status.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace starling::peer
