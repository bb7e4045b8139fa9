#include "data/media/draw.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <png.h>
#include <string>

#include "base/check.hpp"

namespace starling::data {

namespace {

using Colour = std::array<std::uint8_t, 3>;

/// Twelve hues that differ also for most who see few colours: bright and dark ones take turns.
constexpr std::array<Colour, 12> kColours{{
    {255, 64, 64},
    {0, 158, 115},
    {255, 200, 0},
    {0, 114, 178},
    {255, 128, 220},
    {120, 60, 0},
    {0, 220, 255},
    {150, 0, 150},
    {170, 255, 60},
    {0, 60, 60},
    {255, 150, 80},
    {90, 90, 255},
}};

/// One side of a picture: where a region begins and ends, in whole pixels within it.
struct Side {
    std::int64_t begin = 0;
    std::int64_t end = 0;  ///< exclusive
};

Side side_of(double begin, double length, std::uint32_t size) {
    const auto last = static_cast<double>(size);
    const auto from = std::clamp(std::floor(begin), 0.0, last);
    const auto to = std::clamp(std::ceil(begin + length), from, last);
    return {static_cast<std::int64_t>(from), static_cast<std::int64_t>(to)};
}

}  // namespace

void draw_edges(Image& image, const Region& region, std::size_t kind) {
    const auto down = side_of(region.top, region.height, image.height);
    const auto across = side_of(region.left, region.width, image.width);
    const auto thick = std::max<std::int64_t>(1, std::min(image.height, image.width) / 200);
    const auto& colour = kColours[kind % kColours.size()];
    for (auto y = down.begin; y < down.end; ++y) {
        const bool edge_row = y < down.begin + thick || y >= down.end - thick;
        for (auto x = across.begin; x < across.end; ++x) {
            const bool edge = edge_row || x < across.begin + thick || x >= across.end - thick;
            if (!edge) continue;
            const auto at = static_cast<std::size_t>(y * image.width + x) * image.channels;
            for (std::size_t c = 0; c < image.channels; ++c) {
                image.values[at + c] = image.channels == 3 ? colour[c] : std::uint8_t{255};
            }
        }
    }
}

Result<Bytes> encode_png(const Image& image) {
    STARLING_CHECK(image.height > 0 && image.width > 0);
    png_image header{};
    header.version = PNG_IMAGE_VERSION;
    header.width = image.width;
    header.height = image.height;
    header.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
    Bytes bytes(size);
    const int written =
        png_image_write_to_memory(&header, bytes.data(), &size, 0, image.values.data(), 0, nullptr);
    if (written == 0) return fail(FaultCode::Io, std::string("PNG: ") + header.message);
    bytes.resize(size);
    return bytes;
}

}  // namespace starling::data
