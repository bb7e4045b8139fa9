#pragma once

// Max-pooling over windows that do not overlap. The forward pass records which tap was the largest,
// and the backward pass writes each element of dX once: it neither sets zeros first nor reads X.
// For the first pool of `cnn` (64 x 32 x 28 x 28) this comes near the least possible memory
// traffic. The library's kernels, which take any window, need about twice as long.

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

/// Requires  x and y, or dy and dx, have the same type
void max_pool(const MaxPoolShape& shape, const Source& x, const Sink& y, std::int32_t* winners);
void max_pool_gradient(
    const MaxPoolShape& shape, const Source& dy, const std::int32_t* winners, const Sink& dx
);

}  // namespace starling::compute::cpu
