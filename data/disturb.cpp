#include "data/disturb.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace starling::data {

namespace {

// Draws for one purpose do not depend on whether there are draws for another.
constexpr std::uint64_t kNoisePurpose = 0x4e6f697365;
constexpr std::uint64_t kCutoutPurpose = 0x4375746f7574;

struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// Where a run of `side` pixels around a drawn middle lies in `length`.
Range draw_range(std::uint32_t side, std::uint32_t length, Rng& rng) {
    const auto middle = static_cast<std::int64_t>(rng.below(length));
    const auto begin = middle - side / 2;
    return {
        static_cast<std::size_t>(std::max<std::int64_t>(0, begin)),
        static_cast<std::size_t>(std::min<std::int64_t>(length, begin + side))};
}

}  // namespace

void add_noise(float deviation, std::uint64_t draw, std::span<float> values) {
    auto rng = Rng(draw).fork(kNoisePurpose);
    for (auto& value : values) value += deviation * static_cast<float>(rng.normal());
}

void cut_out(
    std::uint32_t side,
    std::uint64_t draw,
    std::uint32_t height,
    std::uint32_t width,
    std::span<float> values
) {
    auto rng = Rng(draw).fork(kCutoutPurpose);
    const auto rows = draw_range(side, height, rng);
    const auto columns = draw_range(side, width, rng);
    const std::size_t plane = std::size_t{height} * width;
    STARLING_CHECK(plane > 0 && values.size() % plane == 0);
    for (std::size_t channel = 0; channel < values.size(); channel += plane) {
        for (std::size_t y = rows.begin; y < rows.end; ++y) {
            const auto row = values.subspan(channel + y * width, width);
            std::fill(
                row.begin() + static_cast<std::ptrdiff_t>(columns.begin),
                row.begin() + static_cast<std::ptrdiff_t>(columns.end),
                0.0F
            );
        }
    }
}

}  // namespace starling::data
