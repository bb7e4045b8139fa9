#pragma once

// How far each partner was from us at the last exchange, block by block; the lattice chooses its
// scale from that. The memory is bounded: it forgets the partners met longest ago, and treats them
// as new when they come again.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.hpp"

namespace starling::gossip {

class GapMemory {
public:
    static constexpr std::size_t kPartnersMax = 64;
    /// All partners together. 100 M parameters have 24,415 blocks, so 42 partners fit.
    static constexpr std::size_t kBytesMax = std::size_t{4} << 20U;

    /// Returns the gaps of one chunk at the last exchange with the partner; empty if unknown.
    [[nodiscard]] std::span<const float> of(const PeerId& partner, std::uint32_t chunk) const;

    /// Returns the gaps of one chunk at the last exchange with anybody; empty if there was none.
    /// The gaps of a pair that has not met for long are from a time when all peers were nearer or
    /// further.
    [[nodiscard]] std::span<const float> latest(std::uint32_t chunk) const;

    /// Remembers the gaps of one chunk.
    void note(const PeerId& partner, std::uint32_t chunk, std::span<const float> gaps);

    /// Forgets the gaps of one chunk, which were no guide.
    void forget(const PeerId& partner, std::uint32_t chunk);

    /// Sets where each chunk's gaps lie, and forgets all of them. To be called before note().
    void lay_out(std::span<const std::size_t> chunk_elements);

private:
    struct Partner {
        PeerId id;
        std::uint64_t used = 0;
        std::vector<float> gaps;  ///< of all blocks; negative: unknown
    };

    [[nodiscard]] const Partner* find(const PeerId& id) const;
    Partner* find_or_make(const PeerId& id);

    std::vector<std::size_t> first_block_{0};  ///< of each chunk, and one past the last
    std::vector<Partner> partners_;
    std::vector<float> latest_;  ///< of all blocks; negative: unknown
    std::uint64_t clock_ = 0;
};

}  // namespace starling::gossip
