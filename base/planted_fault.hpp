#pragma once

// Faults that a build for tests can have. A scenario that ships is worth what it finds: each of these
// breaks one rule that the swarm lives by, and tests/system/planted_faults_test.py shows that some scenario
// finds it. Any other build has none of them.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace starling {

enum class PlantedFault : std::uint8_t {
    NoRefutation,        ///< who is suspected does not deny it
    NoSuspicion,         ///< whoever misses a probe is failed at once
    NoHelpers,           ///< a missed probe is not repeated by others
    NoHealing,           ///< whoever has failed is never looked for again
    SilentLeave,         ///< who leaves tells nobody
    FailureUntold,       ///< what one knows of a failure it keeps for itself
    NeverCounts,         ///< who joins or returns stays outside the sum
    OneSidedExchange,    ///< who answers an exchange does not move
    StuckAfterAbort,     ///< after an exchange broke off, a peer asks for none any more
    ShardsNotTakenOver,  ///< the shards of the dead stay theirs
    TrainerStops,        ///< when somebody dies, the others stop training
    SilentDonor,         ///< a newcomer gets no parameters
};

inline constexpr std::size_t kPlantedFaults = 12;

/// Returns for instance `no-refutation`.
[[nodiscard]] std::string_view to_string(PlantedFault fault);
[[nodiscard]] std::optional<PlantedFault> parse_planted_fault(std::string_view name);

/// Returns whether this process has a fault. In a build with STARLING_PLANTED_FAULTS the environment
/// variable STARLING_PLANTED_FAULT names the one that it has; a name that is none ends the process. Always
/// false in any other build.
[[nodiscard]] bool planted(PlantedFault fault);

}  // namespace starling
