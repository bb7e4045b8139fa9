#pragma once

// Grey pictures in DICOM files whose pixels are not compressed: X-rays, one slice of CT or MR. Files come
// from scanners of any age, so every length is checked against the bytes that are there before it is used.
// Nothing but the pixels leaves this reader: no name, no date.
//
// Source    DICOM PS3.5 (2023) sections 7.1 to 7.5, 8 and annex A (encoding); PS3.10 section 7.1 (the file);
//           PS3.3 sections C.7.6.3 (pixels), C.11.1 and C.11.2 (rescale and window)

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/media/image.hpp"

namespace starling::data {

/// The range of rescaled values that becomes black to white.
struct GreyWindow {
    double centre = 0;
    double width = 1;
};

/// Returns whether bytes have the mark that every DICOM file has at byte 128.
[[nodiscard]] bool is_dicom(ByteView file);

/// Reads a picture of one frame and one grey value a pixel, of 8 or 16 bits. Values are rescaled, and `window`,
/// or the first one that the file names, becomes 0 to 255; without any, the least and the largest value
/// do. MONOCHROME1 is turned so that 255 is bright.
///
/// Errors    BadFormat (no DICOM, or damaged), Truncated, Oversized (more than kImagePixelsMax),
///           Unsupported (compressed, colours, several frames; the message says what to do)
/// Thread    any (pure)
[[nodiscard]] Result<Image> read_dicom(
    ByteView file, const std::optional<GreyWindow>& window = std::nullopt
);

}  // namespace starling::data
