#pragma once

// How far a peer is in the order of its training shards, as its record says it: rounded down, so that
// who goes on from there leaves nothing out.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"

namespace starling::peer {

/// Keys of samples have 63 bits; a record says the upper 16. One unit is 0.0015 % of an epoch.
inline constexpr unsigned kDutyKeyShift = 47;
inline constexpr std::uint32_t kEpochMax = 0x7fffffff;

/// The samples of earlier epochs, and of this one those with a lower key, are done.
struct DutyPlace {
    std::uint32_t epoch = 0;
    std::uint16_t key = 0;

    friend auto operator<=>(const DutyPlace&, const DutyPlace&) = default;
};

/// Returns a place in epochs: 2.5 is in the middle of the third one.
[[nodiscard]] double epochs_of(const DutyPlace& place);

/// The place of one shard.
struct ShardDuty {
    std::uint16_t shard = 0;  ///< its place in the manifest
    DutyPlace place;

    friend bool operator==(const ShardDuty&, const ShardDuty&) = default;
};

struct DutyProgress {
    /// So many shards at most have places of their own: some 200 bytes.
    static constexpr std::size_t kOthersMax = 40;
    static constexpr int kEpochsApartMax = 100;

    DutyPlace base;                 ///< of all shards but these
    std::vector<ShardDuty> others;  ///< in order of shard; those that came lately

    /// Returns the place of a shard of this peer.
    [[nodiscard]] DutyPlace of(std::uint16_t shard) const;

    /// Returns whether a record has room for it.
    [[nodiscard]] bool fits() const;

    friend bool operator==(const DutyProgress&, const DutyProgress&) = default;
};

/// Requires  progress.fits()
void write_duty(ByteWriter& writer, const DutyProgress& progress);

/// Reads what write_duty wrote. The caller looks at reader.ok(); false: a value is out of range.
[[nodiscard]] bool read_duty(ByteReader& reader, DutyProgress& progress);

}  // namespace starling::peer
