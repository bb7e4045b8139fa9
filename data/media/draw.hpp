#pragma once

// Marks on a picture, and pictures as files, for people who look at what a model has found.

#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/media/image.hpp"
#include "data/media/resize.hpp"

namespace starling::data {

/// Draws the edges of a region, as far as they lie in the picture. Regions of different `kind` have different
/// colours, the first twelve of them well apart. Of a grey picture the edges are white.
///
/// Units     pixels
/// Errors    none
/// Thread    any (pure)
void draw_edges(Image& image, const Region& region, std::size_t kind);

/// Encodes a picture as PNG.
///
/// Requires  a picture that is not empty
/// Errors    Io: libpng's words
/// Thread    any (pure)
[[nodiscard]] Result<Bytes> encode_png(const Image& image);

}  // namespace starling::data
