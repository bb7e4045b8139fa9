#include "data/media/augment.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.hpp"

namespace starling::data {

namespace {

constexpr int kBoxDraws = 10;

double between(double low, double high, Rng& rng) {
    return low + (high - low) * rng.uniform();
}

/// Where a window of `wanted` begins in `length` with `padding` on both sides.
std::int64_t draw_offset(
    std::uint32_t length, std::uint32_t padding, std::uint32_t wanted, Rng& rng
) {
    const auto room = std::int64_t{length} + 2 * std::int64_t{padding} - wanted;
    const auto drawn = rng.below(static_cast<std::uint64_t>(std::max<std::int64_t>(room, 0)) + 1);
    if (room < 0) return (std::int64_t{length} - wanted) >> 1;
    return static_cast<std::int64_t>(drawn) - padding;
}

Box box_in_the_middle(Size picture, const CropRange& range) {
    const double ratio = static_cast<double>(picture.width) / picture.height;
    Box box{0, 0, picture.height, picture.width};
    if (ratio < range.ratio_min) {
        box.height = static_cast<std::uint32_t>(std::lround(picture.width / range.ratio_min));
    } else if (ratio > range.ratio_max) {
        box.width = static_cast<std::uint32_t>(std::lround(picture.height * range.ratio_max));
    }
    box.height = std::clamp(box.height, 1U, picture.height);
    box.width = std::clamp(box.width, 1U, picture.width);
    box.top = (picture.height - box.height) / 2;
    box.left = (picture.width - box.width) / 2;
    return box;
}

}  // namespace

Image flipped(Image image) {
    return turned(std::move(image), 2);
}

Image random_flip(Image image, double probability, Rng& rng) {
    return rng.chance(probability) ? flipped(std::move(image)) : image;
}

Window random_window(Size picture, std::uint32_t padding, Size size, Rng& rng) {
    const auto top = draw_offset(picture.height, padding, size.height, rng);
    const auto left = draw_offset(picture.width, padding, size.width, rng);
    return {top, left, size.height, size.width};
}

Image random_crop(const Image& image, std::uint32_t padding, Size size, Rng& rng) {
    return crop(image, random_window({image.height, image.width}, padding, size, rng));
}

Box random_box(Size picture, const CropRange& range, Rng& rng) {
    STARLING_CHECK(picture.height > 0 && picture.width > 0);
    STARLING_CHECK(0 < range.area_min && range.area_min <= range.area_max && range.area_max <= 1);
    STARLING_CHECK(0 < range.ratio_min && range.ratio_min <= range.ratio_max);
    const double area = static_cast<double>(picture.height) * picture.width;
    for (int draw = 0; draw < kBoxDraws; ++draw) {
        const double wanted = area * between(range.area_min, range.area_max, rng);
        const double ratio =
            std::exp(between(std::log(range.ratio_min), std::log(range.ratio_max), rng));
        const double width = std::round(std::sqrt(wanted * ratio));
        const double height = std::round(std::sqrt(wanted / ratio));
        if (width < 1 || width > picture.width || height < 1 || height > picture.height) continue;
        Box box{0, 0, static_cast<std::uint32_t>(height), static_cast<std::uint32_t>(width)};
        box.top = static_cast<std::uint32_t>(rng.below(picture.height - box.height + 1));
        box.left = static_cast<std::uint32_t>(rng.below(picture.width - box.width + 1));
        return box;
    }
    return box_in_the_middle(picture, range);
}

Image random_resized_crop(const Image& image, Size size, const CropRange& range, Rng& rng) {
    return resized_crop(image, random_box({image.height, image.width}, range, rng), size);
}

}  // namespace starling::data
