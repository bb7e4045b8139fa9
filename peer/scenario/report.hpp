#pragma once

// The report of a run, with the same fields whoever carried the scenario out: JSON for programs, and
// one page for people that needs nothing else.

#include <string>

#include "peer/scenario/history.hpp"
#include "peer/scenario/judge.hpp"
#include "peer/scenario/plan.hpp"
#include "peer/scenario/scenario.hpp"

namespace starling::scenario {

struct Run {
    const Scenario& scenario;
    const Plan& plan;
    const Judge& judge;
    const History& history;
    Mode mode = Mode::Loopback;
    double seconds = 0;
    Instant began{};                 ///< the driver's start; times in the report count from there
    std::vector<std::string> notes;  ///< what was not judged, and why
};

/// Returns how many faults were carried out.
[[nodiscard]] std::size_t carried_out(const Plan& plan);

/// Returns the report as one JSON object, with line breaks.
[[nodiscard]] std::string report_json(const Run& run);

/// Returns the last JSON line of a run: verdict, findings and measures.
[[nodiscard]] std::string verdict_json(const Run& run);

/// Returns the report as one HTML page without scripts.
[[nodiscard]] std::string report_html(const Run& run);

}  // namespace starling::scenario
