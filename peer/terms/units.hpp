#pragma once

// Rates and times as people write them.

#include <cstdint>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"

namespace starling::peer {

/// Parses a rate: 100Mbit, 1Gbit, 500kbit (bits a second), 1.5MB, 200kB (bytes a second). Returns
/// bytes per second.
/// Errors    Usage
[[nodiscard]] Result<double> parse_rate(std::string_view text);

/// Parses a size: 500MB, 10GB, 1.5TB. Returns bytes.
/// Errors    Usage
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

/// Parses 90s, 5m, 2h, 500ms.
/// Errors    Usage
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

}  // namespace starling::peer
