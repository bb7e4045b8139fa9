#pragma once

// Boxes in an image: what was found, what is there, and which of the one is which of the other.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"

namespace starling::compute {

/// Units     pixels or any others, the same for all boxes of an image
struct Box {
    float left = 0.0F;
    float top = 0.0F;
    float right = 0.0F;   ///< at least left
    float bottom = 0.0F;  ///< at least top
};

struct Detection {
    std::int32_t one_class = 0;
    float score = 0.0F;  ///< a probability
    Box box;
};

/// How a true box counts.
enum class Regard : std::uint8_t {
    Counted,    ///< it is to be found once
    Difficult,  ///< it is not missed, and whatever detects it counts for nothing (VOC)
    Crowd,      ///< the same; it holds many, so a detection overlaps it if it lies within (COCO)
};

struct TrueBox {
    std::int32_t one_class = 0;
    Box box;
    Regard regard = Regard::Counted;
};

/// Overlaps from which a detection counts as found: 0.5, 0.55, ... 0.95.
inline constexpr std::size_t kThresholds = 10;

[[nodiscard]] constexpr double overlap_threshold(std::size_t index) {
    return static_cast<double>(10 + index) / 20.0;
}

enum class Verdict : std::uint8_t { Hit, Miss, Ignored };

using Verdicts = std::array<Verdict, kThresholds>;

/// Checks that boxes are finite and not turned inside out, classes in [0, classes), and scores in
/// [0, 1].
/// Errors    BadValue, with the place
/// Thread    any
[[nodiscard]] Result<void> check_boxes(
    std::span<const Detection> detections, std::span<const TrueBox> truths, std::size_t classes
);

/// Returns the area of the intersection over that of the union, and over that of the detection for a
/// crowd; 0 where that area is 0. Boxes are intervals of real numbers: no pixel is added to a side.
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] double overlap(const Box& detection, const Box& truth, Regard regard);

/// Judges detections of one class in one image. From the highest score down, each takes the counted
/// box that overlaps most among those that are still free and overlap enough: a hit. Else, if a
/// difficult box or a crowd overlaps enough, it is ignored. Else it is a miss.
///
/// Shapes    the verdicts are in the order of the detections; equal scores go by that order
/// Requires  boxes that have passed check_boxes, all of one class
/// Errors    none
/// Thread    any (pure)
/// Source    COCO's cocoeval.py, evaluateImg. There, a box to ignore that is no crowd takes one
///           detection; here any number, as in VOC's devkit. VOC gives a detection its best box even
///           if that is taken, and calls it a miss.
[[nodiscard]] std::vector<Verdicts> judge(
    std::span<const Detection> detections, std::span<const TrueBox> truths
);

}  // namespace starling::compute
