#pragma once

// Pictures at the size that a model takes: an antialiased bilinear filter, and three ways to fit a
// picture into a shape of other proportions.

#include <cstdint>

#include "data/media/image.hpp"

namespace starling::data {

/// A part of a picture. It may begin and end between pixels.
/// Units     pixels; pixel (i, j) covers [i, i + 1) x [j, j + 1)
struct Region {
    double top = 0;
    double left = 0;
    double height = 0;
    double width = 0;
};

/// A part of a picture in whole pixels.
struct Box {
    std::uint32_t top = 0;
    std::uint32_t left = 0;
    std::uint32_t height = 0;
    std::uint32_t width = 0;
};

/// A window in whole pixels that may reach over the picture's edges.
struct Window {
    std::int64_t top = 0;
    std::int64_t left = 0;
    std::uint32_t height = 0;
    std::uint32_t width = 0;
};

struct Size {
    std::uint32_t height = 0;
    std::uint32_t width = 0;
};

/// How a picture of other proportions gets a shape. Recipes carry these numbers.
enum class Fit : std::uint8_t {
    Stretch = 0,  ///< the whole picture, each axis by a scale of its own
    Crop = 1,     ///< the short side fits, what is too long is cut off equally at both ends
    Pad = 2,      ///< the long side fits, black fills what is left at both ends
};

/// Returns the part of a picture that fit() shows; with Fit::Pad it reaches over the edges.
///
/// Units     pixels of the picture
/// Requires  the picture and the size are not empty
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Region shown(Size picture, Size size, Fit how);

/// Resizes the whole picture with a triangle filter. The filter widens as the picture shrinks, so
/// that every pixel counts (antialiasing).
///
/// Requires  the picture and the size are not empty; size.height * size.width <= kImagePixelsMax
/// Errors    none
/// Thread    any (pure)
/// Source    Pillow, Resample.c, BILINEAR. We round once, not after each axis, so values differ by
///           up to 1; the last bit of a sum depends on the processor
[[nodiscard]] Image resize(const Image& image, Size size);

/// Resizes a region. The filter also sees the pixels around it, as Pillow's `box` argument does.
///
/// Requires  as resize; the region lies in the picture and is not empty
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Image resize(const Image& image, const Region& region, Size size);

/// Cuts out a box and resizes it: the filter sees nothing of what is cut off.
///
/// Requires  as resize; the box lies in the picture
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Image resized_crop(const Image& image, const Box& box, Size size);

/// Copies a window; black where it reaches over the edges.
///
/// Requires  window.height * window.width <= kImagePixelsMax
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Image crop(const Image& image, const Window& window);

/// Copies the middle of the picture. A border that is odd is one pixel thicker at bottom and right.
///
/// Requires  size.height * size.width <= kImagePixelsMax
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Image centre_crop(const Image& image, Size size);

/// Resizes the picture to the size, in one of three ways.
///
/// Requires  as resize
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Image fit(const Image& image, Size size, Fit how);

}  // namespace starling::data
