#pragma once

// Batch normalisation together with its neighbours in a residual net: the sum with a shortcut and
// the Relu; in the backward pass, the sum of two slopes and the Relu's cut. All of these are bound
// by memory traffic, so each pass does as much as it can while a strip is in the cache:
//
//   forward    x: moments; then x, shortcut -> y
//   backward   dy, other dy, y, x: sums of slopes, slopes -> g; then g, x -> dx
//
// Moments are taken about the mean of the first image, so that E[x^2] - E[x]^2 does not cancel.
// They are summed in floats within an image and in double across images.

#include <cstddef>
#include <cstdint>

#include "compute/cpu/loops/channel_shape.hpp"
#include "compute/simd/strips.hpp"

namespace starling::compute::cpu {

/// Returns the doubles that either pass needs besides its operands.
[[nodiscard]] std::size_t batch_norm_scratch(const ChannelShape& shape);

struct BatchNormForward {
    Source x;
    Source shortcut;  ///< absent, or added after scale and bias
    const float* scale = nullptr;
    const float* bias = nullptr;
    float* mean = nullptr;  ///< mean and variance are written, or read when `fixed`
    float* variance = nullptr;
    Sink y;
    float epsilon = 0.0F;
    bool fixed = false;
    bool relu = false;
};

void batch_norm(const ChannelShape& shape, const BatchNormForward& norm, double* scratch);

/// Where a Relu behind the norm has cut.
enum class Mask : std::uint8_t {
    None,
    Output,  ///< where y is zero
    Self,    ///< where the norm of x is below zero: no shortcut was added
};

struct BatchNormBackward {
    Source dy;
    Source other;  ///< absent, or a second slope to add to the first
    Source x;
    Source y;  ///< for Mask::Output
    const float* scale = nullptr;
    const float* bias = nullptr;  ///< for Mask::Self
    const float* mean = nullptr;
    const float* variance = nullptr;
    Sink slope;  ///< absent, or receives the cut sum of the slopes; may be dy or other
    Sink dx;     ///< may be dy, but not the same memory as slope
    float* dscale = nullptr;
    float* dbias = nullptr;
    float epsilon = 0.0F;
    Mask mask = Mask::None;
};

void batch_norm_gradient(const ChannelShape& shape, const BatchNormBackward& norm, double* scratch);

}  // namespace starling::compute::cpu
