#pragma once

// The scenarios that `starling swarm --chaos` names. Everything else is said with files (docs/SCENARIOS.md).

#include <cstddef>
#include <string_view>

#include "base/result.hpp"
#include "peer/scenario/scenario.hpp"

namespace starling::scenario {

/// Peers that train to their end, and the steps that `names` asks for: `founder-crash`, `late-join` or both with a
/// comma, in this order. Only the end is judged. Faults come once all peers have made kBusySteps steps.
/// Errors    Usage (an unknown name; or nobody would survive)
[[nodiscard]] Result<Scenario> built_in(std::string_view names, std::size_t peers);

/// By then all of them train and average.
inline constexpr std::size_t kBusySteps = 200;

}  // namespace starling::scenario
