#pragma once

// Reads a scenario file, which is TOML. All that can be wrong with a file is found here, before
// anything starts: unknown keys and words, values out of their range, names of steps that do not
// exist, and verbs that the mode cannot do.

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "peer/scenario/scenario.hpp"

namespace starling::scenario {

/// Most bytes of a scenario file.
inline constexpr std::size_t kFileMax = std::size_t{256} * 1024;

/// Reads a scenario. `name` is what the file is called in messages. With Mode::Spaces the result's mode
/// is Loopback where that will do and the file does not say otherwise.
/// Errors    Usage (`FILE:LINE:COLUMN: what is wrong; what to do`)
[[nodiscard]] Result<Scenario> parse(std::string_view text, std::string_view name, Mode mode);

}  // namespace starling::scenario
