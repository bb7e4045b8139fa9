// Goal: no bytes that claim to be a JPEG or a PNG crash, and what is decoded is what the probe said.
// Method: the input is the file. Pictures above 4 Mpx are only probed: their size costs time and shows
// nothing new.

#include <cstdint>
#include <cstdlib>

#include "data/media/image.hpp"

namespace {

using namespace starling;
using namespace starling::data;

constexpr std::uint64_t kPixelsMax = std::uint64_t{1} << 22U;

void require(bool holds) {
    if (!holds) std::abort();
}

bool is_whole(const Image& image) {
    return image.values.size() == std::size_t{image.height} * image.width * image.channels;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto facts = probe_image(bytes);
    if (!facts.has_value()) {
        require(!decode_image(bytes, {}).has_value());
        return 0;
    }
    const auto pixels = std::uint64_t{facts->height} * facts->width;
    require(pixels > 0 && pixels <= kImagePixelsMax && facts->turn >= 1 && facts->turn <= 8);
    if (pixels > kPixelsMax) return 0;
    const auto image = decode_image(bytes, {});
    if (image.has_value()) {
        require(is_whole(*image) && image->channels == facts->channels);
        require(image->height == facts->height && image->width == facts->width);
    }
    const auto small = decode_image(
        bytes,
        {.channels = facts->channels == 1 ? 3U : 1U,
         .at_least_height = facts->height / 3,
         .at_least_width = facts->width / 3}
    );
    if (small.has_value()) {
        require(is_whole(*small) && small->channels != facts->channels);
        require(small->height >= facts->height / 3 && small->width >= facts->width / 3);
    }
    return 0;
}
