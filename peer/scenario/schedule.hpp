#pragma once

// Expands a scenario: every `random`, `half` and rate becomes peers and times, from the seed alone.
// So the same file and seed give the same schedule, whoever carries it out and however long things
// take. What is drawn follows from the order of the file: a fault with `for` counts as over, one
// without stays until a later step undoes it.

#include <string>
#include <vector>

#include "base/result.hpp"
#include "peer/scenario/scenario.hpp"

namespace starling::scenario {

/// Returns the steps with all names resolved, and after them those that the rates come to.
/// Errors    Usage (a step that can hit nobody; the message has its line)
[[nodiscard]] Result<std::vector<Step>> expand(const Scenario& scenario);

/// Returns expanded steps as `[[step]]` tables of a scenario file.
[[nodiscard]] std::string to_toml(const std::vector<Step>& steps);

}  // namespace starling::scenario
