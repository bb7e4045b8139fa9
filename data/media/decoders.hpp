#pragma once

// What decode.cpp hands to the file that is a library's home. Both decoders give the picture as it
// lies in the file; decode.cpp turns it.

#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/media/image.hpp"

namespace starling::data {

/// Width and height as the file stores them.
struct StoredSize {
    std::uint32_t height = 0;
    std::uint32_t width = 0;
};

/// Decodes a JPEG that probe_image accepted, smaller where the request (in the file's orientation)
/// allows it. `stored` is what the probe saw; a decoder that sees something else refuses.
/// Errors    BadFormat, Truncated, Corrupt, Oversized, Unsupported
[[nodiscard]] Result<Image> decode_jpeg(
    ByteView bytes, StoredSize stored, const ImageRequest& request
);

/// Decodes a PNG that probe_image accepted. The result may have other channels than the request.
/// Errors    as decode_jpeg
[[nodiscard]] Result<Image> decode_png(ByteView bytes, StoredSize stored);

/// Returns Oversized where a picture has more than kImagePixelsMax, BadFormat where it has none.
[[nodiscard]] Result<void> check_size(const char* format, StoredSize stored);

}  // namespace starling::data
