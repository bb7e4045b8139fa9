#pragma once

// The sliding window that convolution and pooling share, read from ONNX attributes.

#include <array>

#include "base/result.hpp"
#include "compute/graph/node.hpp"

namespace starling::compute {

/// Index 0 is H, index 1 is W.
struct Window {
    std::array<std::int64_t, 2> kernel{1, 1};
    std::array<std::int64_t, 2> strides{1, 1};
    std::array<std::int64_t, 2> dilations{1, 1};
    std::array<std::int64_t, 2> pad_begin{0, 0};
    std::array<std::int64_t, 2> pad_end{0, 0};

    /// Reads kernel_shape, strides, dilations and pads.
    /// Errors    BadValue (wrong count or sign), Unsupported (auto_pad, ceil_mode)
    [[nodiscard]] static Result<Window> from(const Attributes& attributes);

    /// Returns the attributes that from() reads.
    [[nodiscard]] Attributes attributes() const;

    /// Returns how many places the window has on an image of H x W; zero or less when it does not
    /// fit.
    [[nodiscard]] std::array<std::int64_t, 2> places(std::int64_t height, std::int64_t width) const;
};

}  // namespace starling::compute
