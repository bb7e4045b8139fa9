#pragma once

// Who holds which part of a split that models are judged by, when that split is too large for everybody. Nobody
// decides it: like the owners of training shards (ownership.hpp) it follows from the list of peers alone.
//
// A split of more than kWholeSplitBytes is divided into portions, which are runs of shards. Each portion is held by the
// three peers that come first in its rank, so all shares together cover the split three times; and each peer takes
// besides the portions that are nearest to it until its share has kWholeSplitBytes. When a peer goes, each of its
// portions moves to the next in rank, and nothing else. With a rotation, which everybody must count alike, one portion
// of kTurns is ranked anew. docs/decisions/0056-shares-of-what-is-judged.md has the numbers.
//
// Thread    any; nothing changes

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "data/manifest.hpp"

namespace starling::data {

/// A split of at most so many bytes is held by everybody, and a share of a larger one has at least so many.
inline constexpr std::uint64_t kWholeSplitBytes = std::uint64_t{64} << 20U;
/// So many peers hold each portion because it is theirs in rank.
inline constexpr std::size_t kShareCopies = 3;
/// Portions of a split. Each of them has tallies that travel in the end.
inline constexpr std::size_t kPortionsMax = 256;

/// Shards of one split that are held and judged together.
struct Portion {
    Split split = Split::Test;
    std::vector<ShardId> shards;
    std::uint64_t bytes = 0;
    std::uint64_t samples = 0;
};

class SplitShares {
public:
    /// So many rotations after the last one a portion is ranked anew.
    static constexpr std::uint64_t kTurns = 4;

    /// Peers of one swarm give the same `seed` and `whole`. Nothing is divided where samples are private.
    explicit SplitShares(
        const Manifest& manifest, std::uint64_t seed = 0, std::uint64_t whole = kWholeSplitBytes
    );

    /// Returns whether nobody need hold all of a split.
    [[nodiscard]] bool divides(Split split) const { return bytes_.at(index(split)) > 0; }

    [[nodiscard]] bool divides() const { return !portions_.empty(); }

    /// Returns the portions of all divided splits, in the manifest's order. Empty: nothing is divided.
    [[nodiscard]] const std::vector<Portion>& portions() const { return portions_; }

    /// Returns the portion of a shard, or null where everybody holds its split.
    [[nodiscard]] const std::size_t* portion_of(const ShardId& shard) const;

    /// Returns the first `count` peers in rank for a portion, or all if there are fewer. The order of `peers` does not
    /// matter.
    [[nodiscard]] std::vector<PeerId> ranked(
        std::size_t portion,
        std::uint64_t rotation,
        std::span<const PeerId> peers,
        std::size_t count = kShareCopies
    ) const;

    /// Returns the portions that `self` should hold, ascending.
    /// Requires  `peers` contains `self`, and no peer twice
    [[nodiscard]] std::vector<std::size_t> share_of(
        const PeerId& self, std::span<const PeerId> peers, std::uint64_t rotation
    ) const;

private:
    static std::size_t index(Split split) { return static_cast<std::size_t>(split); }

    void divide(const Manifest& manifest, Split split);
    [[nodiscard]] std::uint64_t salt(std::size_t portion, std::uint64_t rotation) const;
    void fill_up(std::vector<bool>& mine, Split split, const PeerId& self, std::uint64_t rotation)
        const;

    std::uint64_t seed_;
    std::uint64_t whole_;
    std::vector<Portion> portions_;
    std::array<std::uint64_t, 3> bytes_{};  ///< of each divided split; 0: everybody holds it
    std::unordered_map<ShardId, std::size_t> of_shard_;
};

}  // namespace starling::data
