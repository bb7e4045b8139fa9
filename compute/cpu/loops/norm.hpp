#pragma once

// Loops over rows: softmax, layer normalisation.

#include <cstddef>
#include <cstdint>

#include "compute/graph/view.hpp"
#include "compute/simd/strips.hpp"

namespace starling::compute::cpu {

/// Softmax or its logarithm along the cut's length. y may be x.
void softmax(int threads, bool logarithm, const Cut& cut, const float* x, float* y);
/// The gradient of softmax(). dx may be dy.
void softmax_gradient(
    int threads, bool logarithm, const Cut& cut, const float* dy, const float* y, float* dx
);

/// Shapes    x, y [rows, width]; mean, inverse [rows]; scale, bias [width] or nullptr
struct LayerNorm {
    int threads = 1;
    std::int64_t rows = 0;
    std::int64_t width = 0;
    float epsilon = 0.0F;

    /// Returns the floats of scratch that layer_norm_gradient needs.
    [[nodiscard]] std::size_t scratch_elements() const {
        return static_cast<std::size_t>(2 * threads * width);
    }
};

void layer_norm(
    const LayerNorm& shape,
    const float* x,
    const float* scale,
    const float* bias,
    const Sink& y,
    float* mean,
    float* inverse
);

struct LayerNormOperands {
    const float* dy = nullptr;
    const float* x = nullptr;
    const float* mean = nullptr;
    const float* inverse = nullptr;
    const float* scale = nullptr;
};

/// dscale and dbias may be nullptr when nobody reads them; dx may be dy.
void layer_norm_gradient(
    const LayerNorm& shape,
    const LayerNormOperands& in,
    float* dx,
    float* dscale,
    float* dbias,
    float* scratch
);

}  // namespace starling::compute::cpu
