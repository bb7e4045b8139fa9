#pragma once

// What somebody says to a run that is going on, one line at a time: `kill random`, `cut half for 30s`,
// `wait whole 20s`, `expect false_failures 0`, `status`, `end`.

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "peer/scenario/judge.hpp"
#include "peer/scenario/scenario.hpp"

namespace starling::scenario {

struct Command {
    enum class Kind : std::uint8_t {
        Step,    ///< an action, now; its names are not resolved yet
        Expect,  ///< a claim about now
        Status,  ///< asks what the peers do
        End,     ///< undoes all faults and ends the run with its verdict
    };

    Kind kind = Kind::Status;
    Step step;
    Claim claim;
};

/// Longest line.
inline constexpr std::size_t kCommandMax = 1024;

/// Reads one line. An action may end with `for DURATION`, and `wait CONDITION` with a deadline.
/// Errors    Usage (says what is wrong; also: a verb that the mode cannot do)
[[nodiscard]] Result<Command> parse_command(std::string_view line, Mode mode);

}  // namespace starling::scenario
