#pragma once

// What a peer says of one portion of a split that is judged in shares (data/shares.hpp): the sums and tallies of its
// evaluation, as they travel between peers that settle. A frame of averaging's protocol, version 1.5, kind 10, which
// older releases skip.
//
// Thread    any

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "compute/values/eval_result.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

/// A portion that a peer judges by, with its number among all.
struct JudgedPortion {
    std::size_t portion = 0;
    data::Split split = data::Split::Test;
    std::vector<ShardId> shards;
};

/// The tallies of one word have at most so many bytes together. Those that find no room are left out.
inline constexpr std::size_t kWordTalliesMax = std::size_t{192} << 10U;
/// And those of one word for each portion so many.
inline constexpr std::size_t kAllTalliesMax = std::size_t{16} << 20U;
inline constexpr std::size_t kWordTalliesCount = 4;

struct PortionWord {
    std::uint32_t round = 0;     ///< of the end
    std::uint16_t portion = 0;   ///< its number
    std::uint16_t portions = 0;  ///< how many there are; other peers may count others
    compute::EvalResult result;  ///< no samples: this peer has not judged it
    /// Encoded, in the order of empty_tallies(); of one that was left out no bytes.
    std::vector<Bytes> tallies;
};

/// Returns whether the payload of an Exchange frame is such a word. The averager has no use for it.
[[nodiscard]] bool is_portion_word(ByteView payload);

/// Requires  what decode_portion_word() accepts
[[nodiscard]] Bytes encode_portion_word(const PortionWord& word);

/// Reads what encode_portion_word() writes, and nothing else. What is in the tallies is not looked at.
/// Errors    Truncated, BadFormat, Oversized, BadValue (sums that no evaluation gives)
[[nodiscard]] Result<PortionWord> decode_portion_word(ByteView payload);

/// Returns how many bytes the tallies of a word have at most where there are so many portions.
[[nodiscard]] constexpr std::size_t word_room(std::size_t portions) {
    return portions == 0 ? kWordTalliesMax : std::min(kWordTalliesMax, kAllTalliesMax / portions);
}

/// Gives `room` to the tally at `first`, then to the others in their order, and leaves out those that find none.
void fit_tallies(std::vector<Bytes>& tallies, std::size_t first, std::size_t room);

}  // namespace starling::peer
