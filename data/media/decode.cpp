// decode_image: the probe, the decoder of the format, then channels and turn.

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "data/media/decoders.hpp"
#include "data/media/image.hpp"

namespace starling::data {

namespace {

/// Rounded ITU-R BT.601 luma with 16 bits behind the point, as Pillow computes it.
std::uint8_t luma(const std::uint8_t* rgb) {
    const auto sum = 19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 0x8000U;
    return static_cast<std::uint8_t>(sum >> 16U);
}

/// Where a pixel of the turned picture comes from: the place of its first pixel, and how far the
/// source moves for one step to the right and one step down. All three count pixels.
struct Walk {
    std::ptrdiff_t start = 0;
    std::ptrdiff_t right = 0;
    std::ptrdiff_t down = 0;
};

Walk walk_for(const Image& image, std::uint8_t turn) {
    const auto w = static_cast<std::ptrdiff_t>(image.width);
    const auto h = static_cast<std::ptrdiff_t>(image.height);
    const auto last_row = (h - 1) * w;
    switch (turn) {
        case 1:
            return {0, 1, w};
        case 2:
            return {w - 1, -1, w};
        case 3:
            return {last_row + w - 1, -1, -w};
        case 4:
            return {last_row, 1, -w};
        case 5:
            return {0, w, 1};
        case 6:
            return {last_row, -w, 1};
        case 7:
            return {last_row + w - 1, -w, -1};
        default:
            return {w - 1, w, -1};
    }
}

}  // namespace

Image with_channels(Image image, std::uint32_t channels) {
    STARLING_CHECK(channels == 1 || channels == 3);
    if (image.channels == channels) return image;
    const auto pixels = std::size_t{image.height} * image.width;
    Image result{channels, image.height, image.width, {}};
    if (channels == 3) {
        result.values.resize(pixels * 3);
        for (std::size_t i = 0; i < pixels; ++i) {
            std::fill_n(
                result.values.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, image.values[i]
            );
        }
        return result;
    }
    // Grey values overwrite colours that were read already.
    for (std::size_t i = 0; i < pixels; ++i) image.values[i] = luma(&image.values[3 * i]);
    image.values.resize(pixels);
    result.values = std::move(image.values);
    return result;
}

Image turned(Image image, std::uint8_t turn) {
    STARLING_CHECK(turn >= 1 && turn <= 8);
    if (turn == 1) return image;
    const auto walk = walk_for(image, turn);
    Image result{image.channels, image.height, image.width, {}};
    if (turn >= 5) std::swap(result.height, result.width);
    result.values.resize(image.values.size());
    auto* out = result.values.data();
    const auto channels = static_cast<std::ptrdiff_t>(image.channels);
    for (std::uint32_t y = 0; y < result.height; ++y) {
        const auto* from =
            image.values.data() + (walk.start + walk.down * std::ptrdiff_t{y}) * channels;
        for (std::uint32_t x = 0; x < result.width; ++x) {
            const auto* pixel = from + walk.right * std::ptrdiff_t{x} * channels;
            out = std::copy_n(pixel, channels, out);
        }
    }
    return result;
}

Result<Image> decode_image(ByteView bytes, const ImageRequest& request) {
    STARLING_CHECK(request.channels == 0 || request.channels == 1 || request.channels == 3);
    const auto facts = probe_image(bytes);
    if (!facts) return facts.error();
    StoredSize stored{facts->height, facts->width};
    ImageRequest wanted = request;
    if (wanted.channels == 0) wanted.channels = facts->channels;
    if (facts->turn >= 5) {
        std::swap(stored.height, stored.width);
        std::swap(wanted.at_least_height, wanted.at_least_width);
    }
    auto image = facts->format == ImageFormat::Jpeg ? decode_jpeg(bytes, stored, wanted)
                                                    : decode_png(bytes, stored);
    if (!image) return image;
    return turned(with_channels(std::move(*image), wanted.channels), facts->turn);
}

}  // namespace starling::data
