#pragma once

// What partners say of their weights. A weight is a claim of its owner, which an honest peer changes at
// most once in a minute. Who changes it more often is not believed until it has kept still: pairs
// with it are even then, as with a partner that says nothing.
//
// Thread    network

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"

namespace starling::gossip {

/// An honest peer changes its weight at most this often; 5 s less than that, for clocks that differ.
inline constexpr Duration kWeightChangeEvery = std::chrono::seconds(55);
/// So many partners' claims are remembered; above it the one that was heard longest ago is forgotten.
inline constexpr std::size_t kClaimsMax = 256;

class WeightClaims {
public:
    /// Notes what a partner says. Returns whether to believe it: it is what the partner said before, or
    /// it changes no more often than an honest peer's. We hear of a change only when we meet, so two
    /// changes may seem as near to each other as can be, but no third one.
    bool note(Instant now, const PeerId& partner, std::int8_t log2);

    /// Returns the last claim of a partner that was believed, or nothing if the last was not.
    [[nodiscard]] std::optional<std::int8_t> of(const PeerId& partner) const;

    /// Whether a partner's last claim was not believed.
    [[nodiscard]] bool distrusts(const PeerId& partner) const;

private:
    struct Claim {
        PeerId partner;
        std::int8_t log2 = 0;
        bool believed = true;
        Instant heard;
        Instant
            next;  ///< when an honest peer could change it again, had each change been heard at once
    };

    [[nodiscard]] const Claim* find(const PeerId& partner) const;

    std::vector<Claim> claims_;
};

}  // namespace starling::gossip
