#pragma once

// The flags by which a founder decides for the whole swarm. Their names, values and help are
// written here once. `peer` takes them and warns if a joiner gives them. `swarm` passes them on to
// the founder that it starts.

#include <span>

namespace starling::peer {

struct FounderFlag {
    const char* name;
    const char* value;  ///< placeholder of the value in --help; empty for a switch
    const char* help;

    [[nodiscard]] constexpr bool is_switch() const { return *value == '\0'; }
};

[[nodiscard]] std::span<const FounderFlag> founder_flags();

/// Returns the flag with this name.
/// Requires  there is one
[[nodiscard]] const FounderFlag& founder_flag(const char* name);

}  // namespace starling::peer
