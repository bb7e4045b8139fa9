#pragma once

// The samples that one step or one evaluation takes, by field.

#include <cstdint>
#include <span>

namespace starling::compute {

/// A view of a batch's fields. Of labels and targets, the one that the kind of labels does not use
/// is empty.
///
/// Shapes    values N * sample elements f32; labels N * labels a sample, in [0, classes), for
///           LabelKind::Class; targets [N, classes] f32 for Classes, in [0, 1], and for Numbers; for
///           Boxes targets [N, boxes, 5]: class (-1: no box), centre x, centre y, width and height,
///           all four as shares of the picture's sides in [0, 1]
struct Batch {
    std::span<const float> values = {};
    std::span<const std::int32_t> labels = {};
    std::span<const float> targets = {};
};

}  // namespace starling::compute
