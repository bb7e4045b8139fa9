#pragma once

// Random changes of what a model is fed, after it was scaled: noise and squares without a content. They
// move nothing, so labels that say where something is stay true.

#include <cstdint>
#include <span>

namespace starling::data {

/// Adds a normal draw of this deviation to each value.
///
/// Requires  deviation > 0
/// Thread    any (pure)
void add_noise(float deviation, std::uint64_t draw, std::span<float> values);

/// Makes a square of an image the mean, which is 0, in all channels. Its middle is any pixel, so a part
/// of it may lie outside.
///
/// Shapes    values: (channels, height, width)
/// Units     pixels
/// Thread    any (pure)
/// Source    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with
///           Cutout" (arXiv 1708.04552), section 3.2
void cut_out(
    std::uint32_t side,
    std::uint64_t draw,
    std::uint32_t height,
    std::uint32_t width,
    std::span<float> values
);

}  // namespace starling::data
