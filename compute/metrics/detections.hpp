#pragma once

// What the scores of a detector say: which boxes it has found.

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "compute/metrics/boxes.hpp"

namespace starling::compute {

/// How many cells the scores of a picture have.
struct ScoreGrid {
    std::size_t height = 0;
    std::size_t width = 0;

    [[nodiscard]] std::size_t cells() const { return height * width; }

    [[nodiscard]] bool operator==(const ScoreGrid& other) const = default;
};

/// Returns the grid of so many cells whose cells are squares of whole pixels.
///
/// Errors    none; empty where there is no such grid
/// Thread    any (pure)
[[nodiscard]] std::optional<ScoreGrid> grid_of(
    std::size_t cells, std::size_t picture_height, std::size_t picture_width
);

inline constexpr std::size_t kDetectionsMax = 100;  ///< of one picture

/// Two detections of one class that overlap more are one.
inline constexpr double kSameOverlap = 0.5;

/// Reads the scores of one picture as a detector is trained to give them (CentrePointLoss). A cell is
/// a centre if its heat is the highest among its eight neighbours. Of the kDetectionsMax hottest
/// centres, from the hottest down, those are left that overlap no hotter one of their class by more
/// than kSameOverlap.
///
/// Shapes    scores [classes + 4, grid.height, grid.width]
/// Units     boxes are shares of the picture's width and height, cut off at its edges
/// Requires  as many scores as the shape says
/// Ensures   the highest scores come first; equal ones by class, then row by row
/// Errors    BadValue: a score that is not finite, with its place
/// Thread    any (pure)
/// Source    Zhou et al., "Objects as Points" (arXiv 1904.07850), section 4.1, "From points to
///           bounding boxes"; its detections are not suppressed, and those of large objects come
///           twice now and then
[[nodiscard]] Result<std::vector<Detection>> detect(
    std::span<const float> scores, std::size_t classes, ScoreGrid grid
);

/// Reads the boxes of one picture from targets as a detector is fed them.
///
/// Shapes    targets [rows, 5]: class (below 0: no box), centre x, centre y, width, height
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] std::vector<TrueBox> true_boxes(std::span<const float> targets);

}  // namespace starling::compute
