#include "data/media/resize.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "base/check.hpp"
#include "base/simd.hpp"

namespace starling::data {

namespace {

/// Four floats in one register on every processor that we build for.
using Quad [[gnu::vector_size(16)]] = float;
constexpr std::size_t kQuad = 4;

/// Rows of a picture, or of a box in it.
struct View {
    const std::uint8_t* values = nullptr;
    std::size_t row_bytes = 0;
    std::uint32_t channels = 0;
    std::uint32_t height = 0;
    std::uint32_t width = 0;
};

/// The weights by which each result on one axis sums up values: `weights[i * stride]` and what
/// follows belong to result i, which begins with value first[i] and has count[i] of them. Weights
/// behind the last one are 0.
struct Taps {
    std::size_t stride = 0;
    std::vector<std::uint32_t> first;
    std::vector<std::uint32_t> count;
    std::vector<float> weights;

    [[nodiscard]] std::span<const float> of(std::size_t i) const {
        return {weights.data() + i * stride, count[i]};
    }
};

/// A triangle filter over values [0, length) for results that share [begin, begin + extent).
/// Source    Pillow, Resample.c, precompute_coeffs
Taps triangle_taps(std::uint32_t length, double begin, double extent, std::uint32_t results) {
    const double scale = extent / results;
    const double reach = std::max(scale, 1.0);
    Taps taps;
    taps.stride = (static_cast<std::size_t>(std::ceil(reach)) * 2 + 1 + kQuad - 1) / kQuad * kQuad;
    taps.first.resize(results);
    taps.count.resize(results);
    taps.weights.resize(results * taps.stride);
    for (std::uint32_t i = 0; i < results; ++i) {
        const double centre = begin + (i + 0.5) * scale;
        const auto first = static_cast<std::uint32_t>(std::max(centre - reach + 0.5, 0.0));
        const auto end =
            static_cast<std::uint32_t>(std::min(centre + reach + 0.5, static_cast<double>(length)));
        const auto count = std::min<std::size_t>(end - first, taps.stride);
        float* weights = &taps.weights[i * taps.stride];
        double sum = 0;
        for (std::size_t k = 0; k < count; ++k) {
            const double away = std::abs(first + static_cast<double>(k) - centre + 0.5) / reach;
            const double weight = std::max(1.0 - away, 0.0);
            weights[k] = static_cast<float>(weight);
            sum += weight;
        }
        for (std::size_t k = 0; k < count; ++k) {
            weights[k] = static_cast<float>(weights[k] / sum);
        }
        taps.first[i] = first;
        taps.count[i] = static_cast<std::uint32_t>(count);
    }
    return taps;
}

/// Adds one or two weighted rows. Two at once save half of the loads and stores of the sum.
STARLING_INLINE void add_rows(
    const std::uint8_t* a,
    float weight_a,
    const std::uint8_t* b,
    float weight_b,
    std::size_t count,
    float* sum
) {
    for (std::size_t i = 0; i < count; ++i) {
        sum[i] += weight_a * static_cast<float>(a[i]) + weight_b * static_cast<float>(b[i]);
    }
}

STARLING_INLINE std::uint8_t rounded(float value) {
    return static_cast<std::uint8_t>(std::min(value + 0.5F, 255.0F));
}

STARLING_INLINE Quad load(const float* from) {
    Quad quad;
    std::memcpy(&quad, from, sizeof quad);
    return quad;
}

/// One row of RGB: each load takes a pixel and the first value of the next one, which is dropped.
STARLING_INLINE void mix_colours(const float* row, const Taps* taps, std::uint8_t* out) {
    for (std::size_t i = 0; i < taps->first.size(); ++i) {
        const float* from = row + std::size_t{3} * taps->first[i];
        const float* weights = taps->weights.data() + i * taps->stride;
        Quad sum{};
        for (std::uint32_t k = 0; k < taps->count[i]; ++k) {
            sum += weights[k] * load(from + std::size_t{3} * k);
        }
        for (std::size_t c = 0; c < 3; ++c) *out++ = rounded(sum[c]);
    }
}

/// One row of grey: four taps at once; the weights behind the last tap are 0.
STARLING_INLINE void mix_greys(const float* row, const Taps* taps, std::uint8_t* out) {
    for (std::size_t i = 0; i < taps->first.size(); ++i) {
        const float* from = row + taps->first[i];
        const float* weights = taps->weights.data() + i * taps->stride;
        Quad sum{};
        for (std::uint32_t k = 0; k < taps->count[i]; k += kQuad) {
            sum += load(weights + k) * load(from + k);
        }
        *out++ = rounded(sum[0] + sum[1] + sum[2] + sum[3]);
    }
}

/// Rows first: that pass runs over whole rows in the widest vectors, and leaves fewer of them.
Image resample(const View& view, const Region& region, Size size) {
    STARLING_CHECK(size.height > 0 && size.width > 0);
    STARLING_CHECK(size.height <= kImagePixelsMax / size.width);
    STARLING_CHECK(view.channels == 1 || view.channels == 3);
    const auto down = triangle_taps(view.height, region.top, region.height, size.height);
    auto across = triangle_taps(view.width, region.left, region.width, size.width);
    // Of each row only the pixels that some result needs.
    const auto begin = across.first.front();
    const auto end = across.first.back() + across.count.back();
    for (auto& first : across.first) first -= begin;
    const auto row_values = std::size_t{end - begin} * view.channels;

    Image result{view.channels, size.height, size.width, {}};
    result.values.resize(std::size_t{size.height} * size.width * view.channels);
    // Loads of four values may reach over the end of a row, where they meet weights of 0.
    std::vector<float> sum(row_values + 2 * kQuad);
    for (std::uint32_t y = 0; y < size.height; ++y) {
        std::fill(sum.begin(), sum.end(), 0.0F);
        const auto weights = down.of(y);
        const auto* row =
            view.values + down.first[y] * view.row_bytes + std::size_t{begin} * view.channels;
        for (std::size_t k = 0; k < weights.size(); k += 2) {
            const bool pair = k + 1 < weights.size();
            const auto* a = row + k * view.row_bytes;
            const auto* b = pair ? a + view.row_bytes : a;
            vectorized<add_rows>(
                a, weights[k], b, pair ? weights[k + 1] : 0.0F, row_values, sum.data()
            );
        }
        auto* out = &result.values[std::size_t{y} * size.width * view.channels];
        const float* from = sum.data();
        const Taps* taps = &across;
        if (view.channels == 3) {
            vectorized<mix_colours>(from, taps, out);
        } else {
            vectorized<mix_greys>(from, taps, out);
        }
    }
    return result;
}

View view_of(const Image& image, const Box& box) {
    STARLING_CHECK(box.height > 0 && box.height <= image.height);
    STARLING_CHECK(box.width > 0 && box.width <= image.width);
    STARLING_CHECK(box.top <= image.height - box.height && box.left <= image.width - box.width);
    const auto row_bytes = std::size_t{image.width} * image.channels;
    STARLING_CHECK(image.values.size() == row_bytes * image.height);
    const auto* first = image.values.data() + box.top * row_bytes;
    return {
        first + std::size_t{box.left} * image.channels,
        row_bytes,
        image.channels,
        box.height,
        box.width};
}

Box whole(const Image& image) {
    return {0, 0, image.height, image.width};
}

/// The largest region of the size's proportions, in the middle of the picture.
Region middle_of(Size image, Size size) {
    const double scale = std::min(
        static_cast<double>(image.height) / size.height,
        static_cast<double>(image.width) / size.width
    );
    const double height = std::min(scale * size.height, static_cast<double>(image.height));
    const double width = std::min(scale * size.width, static_cast<double>(image.width));
    return {(image.height - height) / 2, (image.width - width) / 2, height, width};
}

Size size_of(const Image& image) {
    return {image.height, image.width};
}

/// Where a window of `wanted` in the middle of `length` begins. Rounded down also where it is larger.
std::int64_t middle(std::uint32_t length, std::uint32_t wanted) {
    return (std::int64_t{length} - wanted) >> 1;
}

/// The size of the whole picture at the largest scale at which it fits.
Size inside(Size image, Size size) {
    const double scale = std::min(
        static_cast<double>(size.height) / image.height,
        static_cast<double>(size.width) / image.width
    );
    const auto scaled = [&](std::uint32_t length, std::uint32_t most) {
        const auto rounded_length = static_cast<std::uint32_t>(std::lround(length * scale));
        return std::clamp(rounded_length, 1U, most);
    };
    return {scaled(image.height, size.height), scaled(image.width, size.width)};
}

}  // namespace

Region shown(Size picture, Size size, Fit how) {
    if (how == Fit::Crop) return middle_of(picture, size);
    if (how == Fit::Stretch) {
        return {0, 0, static_cast<double>(picture.height), static_cast<double>(picture.width)};
    }
    const auto whole = inside(picture, size);
    const double down = static_cast<double>(picture.height) / whole.height;
    const double across = static_cast<double>(picture.width) / whole.width;
    return {
        static_cast<double>(middle(whole.height, size.height)) * down,
        static_cast<double>(middle(whole.width, size.width)) * across,
        size.height * down,
        size.width * across};
}

Image resize(const Image& image, Size size) {
    return resized_crop(image, whole(image), size);
}

Image resize(const Image& image, const Region& region, Size size) {
    STARLING_CHECK(region.top >= 0 && region.left >= 0 && region.height > 0 && region.width > 0);
    STARLING_CHECK(region.top + region.height <= image.height);
    STARLING_CHECK(region.left + region.width <= image.width);
    return resample(view_of(image, whole(image)), region, size);
}

Image resized_crop(const Image& image, const Box& box, Size size) {
    const auto view = view_of(image, box);
    return resample(
        view, {0, 0, static_cast<double>(box.height), static_cast<double>(box.width)}, size
    );
}

Image crop(const Image& image, const Window& window) {
    STARLING_CHECK(window.width == 0 || window.height <= kImagePixelsMax / window.width);
    Image result{image.channels, window.height, window.width, {}};
    result.values.resize(std::size_t{window.height} * window.width * image.channels);
    const auto left = std::max<std::int64_t>(window.left, 0);
    const auto right = std::min<std::int64_t>(window.left + window.width, image.width);
    if (left >= right) return result;
    const auto channels = static_cast<std::int64_t>(image.channels);
    for (std::int64_t y = 0; y < window.height; ++y) {
        const auto from = window.top + y;
        if (from < 0 || from >= image.height) continue;
        const auto* values = image.values.data() + (from * image.width + left) * channels;
        auto* out = result.values.data() + (y * window.width + left - window.left) * channels;
        std::copy_n(values, (right - left) * channels, out);
    }
    return result;
}

Image centre_crop(const Image& image, Size size) {
    return crop(
        image,
        {middle(image.height, size.height),
         middle(image.width, size.width),
         size.height,
         size.width}
    );
}

Image fit(const Image& image, Size size, Fit how) {
    switch (how) {
        case Fit::Stretch:
            return resize(image, size);
        case Fit::Crop:
            return resize(image, middle_of(size_of(image), size), size);
        case Fit::Pad:
            return centre_crop(resize(image, inside(size_of(image), size)), size);
    }
    STARLING_UNREACHABLE("a fit that does not exist");
}

}  // namespace starling::data
