#pragma once

// How much each class counts in the loss where all are to count alike.

#include <vector>

#include "data/source.hpp"

namespace starling::data {

/// Returns a weight of each class: the rarer it is among these labels, the larger, with a mean of 1 over the samples. A
/// class without a sample gets 1.
/// Requires  labels of kind Class
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] std::vector<float> balanced_weights(const LabelList& labels, const Label& label);

}  // namespace starling::data
