#pragma once

// What the plain encodings' loops over a chunk have in common: the difference of two wires, block
// by block.

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

using DifferenceKernel =
    BlockSums (*)(const std::byte*, const std::byte*, std::byte*, std::size_t, float);

/// Runs a kernel over all blocks of 1 Ki elements, each `width` bytes on the wire. The sums of
/// blocks are added in double: they only feed a statistic, and a conversion of every element would
/// halve the lanes.
[[nodiscard]] inline Difference sum_blocks(
    DifferenceKernel kernel,
    ByteView theirs,
    ByteView mine,
    std::size_t width,
    double coefficient,
    std::span<std::byte> delta
) {
    constexpr std::size_t kBlock = 1024;
    const std::size_t elements = mine.size() / width;
    Difference sum;
    for (std::size_t start = 0; start < elements; start += kBlock) {
        const auto block = kernel(
            theirs.data() + start * width,
            mine.data() + start * width,
            delta.data() + start * sizeof(float),
            std::min(kBlock, elements - start),
            static_cast<float>(coefficient)
        );
        sum.squared_distance += static_cast<double>(block.distance);
        sum.squared_norm += static_cast<double>(block.norm);
        sum.finite = sum.finite && block.poison == 0.0F;
    }
    return sum;
}

}  // namespace starling::gossip
