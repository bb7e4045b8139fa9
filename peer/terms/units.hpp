#pragma once

// Rates and times as people write them.

#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"

namespace starling::peer {

/// Parses a rate: 100Mbit, 1Gbit, 500kbit (bits a second), 1.5MB, 200kB (bytes a second). Returns
/// bytes per second.
/// Errors    Usage
[[nodiscard]] Result<double> parse_rate(std::string_view text);

/// Parses 90s, 5m, 2h, 500ms.
/// Errors    Usage
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

}  // namespace starling::peer
