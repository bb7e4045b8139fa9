#pragma once

// The exit codes that scripts rely on, and the one that each fault leads to.

#include "base/result.hpp"

namespace starling::peer {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

/// Returns kExitUsage where the user can mend the fault by giving other flags: a wrong flag, or an
/// address that this release refuses to serve. Returns kExitFailed for all else.
[[nodiscard]] constexpr int exit_code_of(FaultCode code) {
    return code == FaultCode::Usage || code == FaultCode::Refused ? kExitUsage : kExitFailed;
}

/// Returns the same fault as a Usage fault. A caller uses this after it has read something that a
/// flag names (a file, a model, an address), where the reader cannot know that a flag named it.
[[nodiscard]] inline Fault as_usage(const Fault& fault) {
    return fail(FaultCode::Usage, fault.message);
}

/// Returns the fault of a file or directory that a flag names. That it is not there is wrong usage.
[[nodiscard]] inline Fault missing_is_usage(const Fault& fault) {
    return fault.code == FaultCode::NotFound ? as_usage(fault) : fault;
}

}  // namespace starling::peer
