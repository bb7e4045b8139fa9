#pragma once

// Scenarios drawn at random, to look for faults that nobody has thought of: who is hit by what, when, for
// how long. The result is the text of a scenario file, so whatever it finds can be run again by hand.

#include <cstdint>
#include <string>
#include <vector>

#include "peer/scenario/scenario.hpp"

namespace starling::scenario {

struct DrawOptions {
    Mode mode = Mode::Spaces;
    std::vector<Setting> train;  ///< goes into [train] as it is
};

/// Returns a scenario that parse() and expand() accept for this mode. The same seed and options give the
/// same text. At least two peers survive or come back; lengths are spread over orders of magnitude.
[[nodiscard]] std::string draw_scenario(std::uint64_t seed, const DrawOptions& options);

}  // namespace starling::scenario
