#pragma once

// The boxes of a picture as a model is fed them: they move with the picture's pixels.

#include <cstddef>
#include <span>

#include "data/media/resize.hpp"
#include "data/schema.hpp"

namespace starling::data {

/// A row of targets: class, centre x, centre y, width and height. The class of a row without a box is
/// kNoBox. Places and lengths are shares of the picture's width and height, from its left upper
/// corner, so all are in [0, 1].
inline constexpr std::size_t kBoxNumbers = 5;
inline constexpr float kNoBox = -1.0F;

/// What is left of a box when less than this share of its area is in the picture: nothing.
inline constexpr double kVisibleMin = 0.1;

/// Where the points of a stored picture are in the picture that a model is fed. At first they are
/// where they were.
class PointMap {
public:
    /// The picture becomes what `window` shows of it, which may reach over its edges.
    ///
    /// Units     pixels of a picture of `size`
    /// Requires  a size and a window that are not empty
    void show(const Region& window, Size size);

    /// The picture is mirrored from left to right.
    void mirror();

    /// One axis. What a step has cut off stays away, even if a later one shows that place again.
    struct Line {
        double scale = 1.0;
        double offset = 0.0;
        double begin = 0.0;  ///< what is left of the stored picture lies between these places
        double end = 1.0;

        /// Returns a place in the new picture for one in the stored picture, as shares of a side.
        [[nodiscard]] double operator()(double stored) const { return scale * stored + offset; }
    };

    [[nodiscard]] const Line& x() const { return across_; }

    [[nodiscard]] const Line& y() const { return down_; }

private:
    Line across_;
    Line down_;
};

/// Writes the boxes of a stored picture of `size` as rows, in their order, and rows without a box
/// behind them. What reaches out of the new picture is cut off, and a box of which less than
/// kVisibleMin is left is left out.
///
/// Shapes    rows [R, kBoxNumbers]
/// Requires  a size that is not empty; R >= the number of boxes
/// Errors    none
/// Thread    any (pure)
void put_boxes(
    std::span<const LabelledBox> boxes, Size size, const PointMap& map, std::span<float> rows
);

}  // namespace starling::data
