#pragma once

// Which elements of a chunk an exchange averages: those of one of `count` parts. A seed that all
// peers have says to which part an element belongs, so two numbers in Open name a part and no index
// of an element is ever sent.
//
// A chunk is a row of groups of `count` elements; each part takes one element of each group, at a
// place that depends on the group and moves with the part. So the elements of a part are spread
// over the chunk as if by chance, and after `count` exchanges with all parts in turn each element
// has travelled once. The last group may be short; then some parts have no element there.
//
// Source    SPARTA (EXO), with Agora's fixed partitions in turn instead of a drawn mask.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"

namespace starling::gossip {

struct Part {
    std::uint32_t index = 0;
    std::uint32_t count = 1;

    bool operator==(const Part&) const = default;

    [[nodiscard]] bool whole() const { return count == 1; }

    /// Returns how many of a chunk's elements belong to this part.
    [[nodiscard]] std::size_t elements_of(std::size_t chunk, std::size_t elements) const;

    /// Copies the elements of this part out of a whole chunk.
    ///
    /// Requires  both are whole elements of `size` bytes, 4 or 8; out has elements_of
    void gather(std::size_t chunk, std::size_t size, ByteView from, std::span<std::byte> out) const;

    /// Writes the elements of this part back to their places in a whole chunk; its other elements
    /// stay as they are.
    void scatter(std::size_t chunk, std::size_t size, ByteView from, std::span<std::byte> to) const;

private:
    [[nodiscard]] std::size_t place(std::size_t chunk, std::size_t group) const;
    template <class Move>
    void each(std::size_t chunk, std::size_t elements, Move move) const;
};

}  // namespace starling::gossip
