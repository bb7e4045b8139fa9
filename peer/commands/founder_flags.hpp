#pragma once

// The flags that a founder decides for the whole swarm: their names, values and help are written
// here once. `peer` takes them, warns where a joiner gives them, and `swarm` passes them on to the
// founder that it starts.

#include <span>

namespace starling::peer {

struct FounderFlag {
    const char* name;
    const char* value;  ///< what stands behind it in --help; empty for a switch
    const char* help;

    [[nodiscard]] constexpr bool is_switch() const { return *value == '\0'; }
};

[[nodiscard]] std::span<const FounderFlag> founder_flags();

/// Returns the flag of that name. Requires that there is one.
[[nodiscard]] const FounderFlag& founder_flag(const char* name);

}  // namespace starling::peer
