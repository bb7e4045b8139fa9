#pragma once

// Random changes of a training picture. Each is a pure function of the picture and of a generator
// that the caller seeds, so that what is drawn does not depend on the thread that draws it.

#include <cstdint>

#include "base/rng.hpp"
#include "data/media/image.hpp"
#include "data/media/resize.hpp"

namespace starling::data {

/// Which boxes random_resized_crop draws.
struct CropRange {
    double area_min = 0.08;  ///< of the picture's area, in (0, 1]
    double area_max = 1.0;
    double ratio_min = 3.0 / 4.0;  ///< width by height
    double ratio_max = 4.0 / 3.0;
};

/// Returns the picture mirrored from left to right.
///
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Image flipped(Image image);

/// Mirrors the picture with the given probability. Draws one number.
///
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Image random_flip(Image image, double probability, Rng& rng);

/// Draws where a window of the size lies in a picture with `padding` pixels more on each side, as
/// random_crop does.
///
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Window random_window(Size picture, std::uint32_t padding, Size size, Rng& rng);

/// Draws a window of the size from the picture with `padding` black pixels on each side. Draws two
/// numbers. A window that is larger than that is put in its middle.
///
/// Requires  size.height * size.width <= kImagePixelsMax
/// Errors    none
/// Thread    any (pure)
/// Source    torchvision, transforms.RandomCrop
[[nodiscard]] Image random_crop(const Image& image, std::uint32_t padding, Size size, Rng& rng);

/// Draws a box whose area is uniform and whose ratio is log-uniform in the range. After ten draws
/// that do not fit it takes the largest box in the middle whose ratio is allowed.
///
/// Requires  a picture that is not empty; 0 < area_min <= area_max <= 1; 0 < ratio_min <= ratio_max
/// Ensures   the box lies in the picture and is not empty
/// Errors    none
/// Thread    any (pure)
/// Source    torchvision, transforms.RandomResizedCrop.get_params
[[nodiscard]] Box random_box(Size picture, const CropRange& range, Rng& rng);

/// Cuts out a box that random_box draws and resizes it.
///
/// Requires  as random_box and resize
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Image random_resized_crop(
    const Image& image, Size size, const CropRange& range, Rng& rng
);

}  // namespace starling::data
