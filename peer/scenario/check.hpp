#pragma once

// What can be wrong with a scenario whose parts are right one by one: names of steps and numbers of
// peers that do not exist, and conditions that a mode cannot see.

#include <string_view>

#include "base/result.hpp"
#include "peer/scenario/scenario.hpp"

namespace starling::scenario {

/// `name` is what the file is called in messages.
/// Errors    Usage (`FILE:LINE:COLUMN: what is wrong`)
[[nodiscard]] Result<void> check(const Scenario& scenario, std::string_view name, Mode mode);

}  // namespace starling::scenario
