#pragma once

// What the plain encodings' loops over a chunk have in common: sums in float lanes over a block,
// in double over the blocks.

#include <algorithm>
#include <cstddef>

#include "gossip/encoding/encoding.hpp"

namespace starling::gossip {

/// One block's sums, in float lanes.
struct BlockSums {
    float distance = 0.0F;
    float norm = 0.0F;
    float poison = 0.0F;  ///< 0 while every delta is finite, else NaN
};

/// Runs `block(start, count)` over all blocks of 1 Ki elements. The sums of blocks are added in
/// double: they only feed a statistic, and a conversion of every element would halve the lanes.
template <class Block>
[[nodiscard]] Difference sum_blocks(std::size_t elements, Block&& block) {
    constexpr std::size_t kBlock = 1024;
    Difference sum;
    for (std::size_t start = 0; start < elements; start += kBlock) {
        const BlockSums sums = block(start, std::min(kBlock, elements - start));
        sum.squared_distance += static_cast<double>(sums.distance);
        sum.squared_norm += static_cast<double>(sums.norm);
        sum.finite = sum.finite && sums.poison == 0.0F;
    }
    return sum;
}

using DifferenceKernel =
    BlockSums (*)(const std::byte*, const std::byte*, std::byte*, std::size_t, float);

/// The same for the difference of two wires of `width` bytes an element.
[[nodiscard]] inline Difference sum_differences(
    DifferenceKernel kernel,
    ByteView theirs,
    ByteView mine,
    std::size_t width,
    double coefficient,
    std::span<std::byte> delta
) {
    return sum_blocks(mine.size() / width, [&](std::size_t start, std::size_t count) {
        return kernel(
            theirs.data() + start * width,
            mine.data() + start * width,
            delta.data() + start * sizeof(float),
            count,
            static_cast<float>(coefficient)
        );
    });
}

}  // namespace starling::gossip
