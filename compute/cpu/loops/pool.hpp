#pragma once

// Max-pooling over windows that do not overlap. Forward keeps which tap won, and backward writes
// each element of dX once: no pass over it to set zeros, no reading of X. For the first pool of
// `cnn` (64 x 32 x 28 x 28) that is memory traffic near the least there is, where the library's
// kernels, which serve any window, take about twice as long.

#include <cstdint>

#include "compute/simd/strips.hpp"

namespace starling::compute::cpu {

/// Planes of height x width places with `inner` channels side by side: 1 for row-major images, the
/// block of a blocked layout, all channels where these come last.
struct MaxPoolShape {
    int threads = 1;
    std::int64_t planes = 0;
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::int64_t kernel_height = 1;
    std::int64_t kernel_width = 1;
    std::int64_t inner = 1;

    [[nodiscard]] std::int64_t output_height() const { return height / kernel_height; }

    [[nodiscard]] std::int64_t output_width() const { return width / kernel_width; }
};

/// x and y, dy and dx are of one type.
void max_pool(const MaxPoolShape& shape, const Source& x, const Sink& y, std::int32_t* winners);
void max_pool_gradient(
    const MaxPoolShape& shape, const Source& dy, const std::int32_t* winners, const Sink& dx
);

}  // namespace starling::compute::cpu
