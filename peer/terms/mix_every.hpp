#pragma once

// How often a swarm's peers average, as --mix-every and the descriptor say it.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"

namespace starling::peer {

enum class MixBy : std::uint8_t {
    Steps = 0,  ///< after so many steps
    Time = 1,   ///< after so much time, when a step ends
    Auto = 2,   ///< each peer measures what exchanges cost and bring (gossip/interval.hpp)
};

inline constexpr MixBy kMixByLast = MixBy::Auto;

struct MixEvery {
    MixBy by = MixBy::Steps;
    /// With Steps; else what a peer takes that counts steps all the same, as with --sync, under a rule
    /// whose outer steps are far apart, or of an older release.
    std::uint32_t steps = 8;
    Duration time{};  ///< with Time

    bool operator==(const MixEvery&) const = default;

    /// Reads `auto`, a number of steps such as `8`, or a time such as `500ms`.
    ///
    /// Errors    Usage
    [[nodiscard]] static Result<MixEvery> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
};

}  // namespace starling::peer
