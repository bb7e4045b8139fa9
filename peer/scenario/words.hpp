#pragma once

// The words of a scenario: actions such as `kill random 2`, conditions such as
// `all train and spread < 0.1`, and numbers with units. Each function reads a whole text, and a
// failure says in one sentence what is wrong with it; the parser adds the place.

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "peer/scenario/scenario.hpp"

namespace starling::scenario {

/// Most peers of a scenario, those included that are added.
inline constexpr std::size_t kPeersMax = 1000;

/// Reads `500ms`, `60s`, `10m` or `2h`.
/// Errors    Usage
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

/// Reads `20%` or `0.2`.
/// Errors    Usage
[[nodiscard]] Result<double> parse_share(std::string_view text);

/// Reads `100Mbit` as bytes a second.
/// Errors    Usage
[[nodiscard]] Result<double> parse_rate(std::string_view text);

/// Reads `32MiB`, `64KiB`, `2GiB` or `4096` as bytes.
/// Errors    Usage
[[nodiscard]] Result<double> parse_bytes(std::string_view text);

/// Reads `founder`, `peer 3` or `peer 2,5`: peers that have their number before anything is drawn.
/// Errors    Usage
[[nodiscard]] Result<std::vector<std::size_t>> parse_named_peers(std::string_view text);

/// Reads what a step does.
/// Errors    Usage
[[nodiscard]] Result<Action> parse_action(std::string_view text);

/// Reads a condition without times.
/// Errors    Usage
[[nodiscard]] Result<std::vector<Term>> parse_terms(std::string_view text);

/// Reads when a step is due: `20s`, `+5s` or a condition.
/// Errors    Usage
[[nodiscard]] Result<When> parse_when(std::string_view text);

}  // namespace starling::scenario
