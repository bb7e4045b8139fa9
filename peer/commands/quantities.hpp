#pragma once

// Numbers with units on the command line of the simulator.

#include <string>

#include "base/instant.hpp"

namespace starling::peer {

struct Quantity {
    double value = 0.0;
    std::string unit;
};

/// Splits for instance `12.5ms` into a number and a unit. Returns false if there is no number, or
/// if it is negative or too large.
[[nodiscard]] bool split(const std::string& text, Quantity& out);

// Each of these takes the flag that gave the text.
// Errors    throws CLI::ValidationError, which CLI11 turns into one line

/// Always throws: the text is not what is `allowed`.
[[noreturn]] void wrong(
    const std::string& flag, const std::string& text, const std::string& allowed
);

[[nodiscard]] Duration parse_duration(const std::string& flag, const std::string& text);
[[nodiscard]] double parse_share(const std::string& flag, const std::string& text);
[[nodiscard]] double parse_per_minute(const std::string& flag, const std::string& text);
/// Returns bytes a second.
[[nodiscard]] double parse_bandwidth(const std::string& flag, const std::string& text);

}  // namespace starling::peer
