#pragma once

// Pictures from JPEG and PNG bytes. The bytes come from strangers: every size is checked before
// memory is taken for it, and whatever is wrong becomes a Fault that says where the bytes break.
//
// jpeg.cpp is the only home of libjpeg-turbo, png.cpp that of libpng. probe_image reads the headers
// with code of our own, so that a scan of many files starts no decoder.

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::data {

/// Largest picture, in pixels of the file. 64 Mpx of RGB take 192 MiB.
inline constexpr std::uint64_t kImagePixelsMax = std::uint64_t{1} << 26U;

/// Largest number of passes over a progressive JPEG. Files that people make have about 10; some
/// hundred bytes can ask for a pass over all 64 Mpx.
inline constexpr std::uint32_t kJpegScansMax = 64;

/// One picture: rows from the top, pixels from the left, channels interleaved (H, W, C).
struct Image {
    std::uint32_t channels = 0;  ///< 1 grey or 3 RGB
    std::uint32_t height = 0;
    std::uint32_t width = 0;
    std::vector<std::uint8_t> values;  ///< height * width * channels, 0 black to 255
};

enum class ImageFormat : std::uint8_t { Jpeg, Png };

/// What the headers say. Height and width are those of the turned picture, as decode_image gives it.
struct ImageFacts {
    ImageFormat format = ImageFormat::Jpeg;
    std::uint32_t channels = 0;  ///< what decode_image gives when the request leaves it open
    std::uint32_t height = 0;
    std::uint32_t width = 0;
    std::uint8_t turn = 1;  ///< EXIF orientation, 1 (none) to 8
};

struct ImageRequest {
    std::uint32_t channels = 0;  ///< 0 as the file, 1 grey, 3 RGB
    /// A JPEG of twice, four or eight times this size is decoded at 1/2, 1/4 or 1/8 of its size,
    /// which is faster. The result is at least this large, or as large as the file. 0 is no wish;
    /// with both 0 the picture keeps its size.
    std::uint32_t at_least_height = 0;
    std::uint32_t at_least_width = 0;
};

/// Reads the headers of a JPEG or PNG, told apart by the first bytes. The rest may be damaged.
///
/// Errors    BadFormat (neither JPEG nor PNG, or damaged headers), Truncated, Oversized (more than
///           kImagePixelsMax), Unsupported (lossless and hierarchical JPEG, 12 bits)
/// Thread    any (pure)
/// Source    ITU-T T.81 annex B; PNG specification, third edition, section 11; EXIF 2.3, 4.6.4
[[nodiscard]] Result<ImageFacts> probe_image(ByteView bytes);

/// Decodes a picture and turns it as its EXIF orientation says.
///
/// CMYK and YCCK become RGB; as in Pillow, their values are taken for inverted, which Adobe began
/// and everybody followed. 16 bits are rounded to 8, palettes become RGB, gamma and colour profiles
/// are ignored. What is transparent in a PNG shows white, as on a page. Grey from RGB is
/// 0.299 R + 0.587 G + 0.114 B (in a JPEG its Y).
///
/// Requires  request.channels is 0, 1 or 3
/// Errors    as probe_image; Truncated and Corrupt name the byte where the file breaks. No part of
///           a damaged picture is returned
/// Thread    any (pure)
[[nodiscard]] Result<Image> decode_image(ByteView bytes, const ImageRequest& request);

/// Returns the picture with 1 or 3 channels, the same one where it has that many.
///
/// Requires  channels is 1 or 3
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Image with_channels(Image image, std::uint32_t channels);

/// Returns the picture turned and mirrored as an EXIF orientation from 1 to 8 asks for.
///
/// Requires  turn in [1, 8]
/// Errors    none
/// Thread    any (pure)
/// Source    EXIF 2.3, section 4.6.4, tag Orientation
[[nodiscard]] Image turned(Image image, std::uint8_t turn);

}  // namespace starling::data
