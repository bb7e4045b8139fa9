#include "data/box_targets.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.hpp"

namespace starling::data {

namespace {

/// The part of a side that is in the picture.
struct Extent {
    double begin = 0.0;
    double end = 0.0;
    double visible = 0.0;  ///< its share of the whole side

    Extent(const PointMap::Line& line, double stored_begin, double stored_end) {
        const double a = line(stored_begin);
        const double b = line(stored_end);
        begin = std::clamp(std::min(a, b), line.begin, line.end);
        end = std::clamp(std::max(a, b), line.begin, line.end);
        const double whole = std::abs(b - a);
        if (whole > 0.0) visible = (end - begin) / whole;
    }
};

/// Goes on with `length` of `side` pixels, from `begin` on.
void cut(PointMap::Line& line, double begin, double length, double side) {
    const auto moved = [&](double place) { return (place * side - begin) / length; };
    line.scale *= side / length;
    line.offset = moved(line.offset);
    line.begin = std::clamp(moved(line.begin), 0.0, 1.0);
    line.end = std::clamp(moved(line.end), 0.0, 1.0);
}

}  // namespace

void PointMap::show(const Region& window, Size size) {
    STARLING_CHECK(window.width > 0 && window.height > 0 && size.width > 0 && size.height > 0);
    cut(across_, window.left, window.width, size.width);
    cut(down_, window.top, window.height, size.height);
}

void PointMap::mirror() {
    across_.scale = -across_.scale;
    across_.offset = 1.0 - across_.offset;
    across_.begin = 1.0 - std::exchange(across_.end, 1.0 - across_.begin);
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
        const Extent across(map.x(), box.left / width, box.right / width);
        const Extent down(map.y(), box.top / height, box.bottom / height);
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
