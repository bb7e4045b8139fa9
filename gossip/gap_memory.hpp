#pragma once

// How far apart we and our last partner were, block by block, whoever it was. The lattice chooses its
// scale from that and from the samples of the next partner, which say how far that one is now
// (gossip/samples.hpp). So nothing is kept of any single partner. Memory: 8 bytes for each 4,096
// parameters.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "gossip/encoding/encoding.hpp"

namespace starling::gossip {

class GapMemory {
public:
    /// Sets where each slot's gaps lie, and forgets all of them. To be called before note(). A slot is a
    /// chunk, or a part of one.
    void lay_out(std::span<const std::size_t> slot_elements);

    /// Returns the gaps of the last exchange of a slot; empty if there was none.
    [[nodiscard]] std::span<const BlockGap> latest(std::uint32_t slot) const;

    /// Remembers the gaps of one slot.
    void note(std::uint32_t slot, std::span<const BlockGap> gaps);

    /// Returns how many times as wide as expected a gap has to be taken, so that one offer in 260
    /// cannot be decoded: the largest difference of a block varies by a tenth where differences are
    /// normal, and by a third and more in some models. Range 1 to 3.
    [[nodiscard]] double caution() const { return caution_; }

    /// One of our offers could not be decoded, or could.
    void wrapped();
    void decoded();

private:
    std::vector<std::size_t> first_block_{0};  ///< of each slot, and one past the last
    std::vector<BlockGap> gaps_;               ///< of all blocks; empty before the first note
    double caution_ = 1.0;
};

}  // namespace starling::gossip
