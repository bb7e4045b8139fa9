#include "data/box_targets.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::data {

namespace {

/// The part of a side that is in the picture.
struct Extent {
    double begin = 0.0;
    double end = 0.0;
    double visible = 0.0;  ///< its share of the whole side

    Extent(double a, double b)
        : begin(std::clamp(std::min(a, b), 0.0, 1.0)),
          end(std::clamp(std::max(a, b), 0.0, 1.0)) {
        const double whole = std::max(a, b) - std::min(a, b);
        if (whole > 0.0) visible = (end - begin) / whole;
    }
};

}  // namespace

void PointMap::show(const Region& window, Size size) {
    STARLING_CHECK(window.width > 0 && window.height > 0 && size.width > 0 && size.height > 0);
    across_.scale *= size.width / window.width;
    across_.offset = (across_.offset * size.width - window.left) / window.width;
    down_.scale *= size.height / window.height;
    down_.offset = (down_.offset * size.height - window.top) / window.height;
}

void PointMap::mirror() {
    across_.scale = -across_.scale;
    across_.offset = 1.0 - across_.offset;
}

void put_boxes(
    std::span<const LabelledBox> boxes, Size size, const PointMap& map, std::span<float> rows
) {
    STARLING_CHECK(size.width > 0 && size.height > 0);
    STARLING_CHECK(rows.size() % kBoxNumbers == 0 && boxes.size() <= rows.size() / kBoxNumbers);
    std::fill(rows.begin(), rows.end(), 0.0F);
    for (std::size_t i = 0; i < rows.size(); i += kBoxNumbers) rows[i] = kNoBox;
    auto row = rows.begin();
    const double width = size.width;
    const double height = size.height;
    for (const auto& box : boxes) {
        const Extent across(map.x(box.left / width), map.x(box.right / width));
        const Extent down(map.y(box.top / height), map.y(box.bottom / height));
        const double visible = across.visible * down.visible;
        const auto wide = static_cast<float>(across.end - across.begin);
        const auto high = static_cast<float>(down.end - down.begin);
        // A side may be too short for a float.
        if (visible < kVisibleMin || !(wide > 0.0F) || !(high > 0.0F)) continue;
        *row++ = static_cast<float>(box.label);
        *row++ = static_cast<float>((across.begin + across.end) / 2.0);
        *row++ = static_cast<float>((down.begin + down.end) / 2.0);
        *row++ = wide;
        *row++ = high;
    }
}

}  // namespace starling::data
