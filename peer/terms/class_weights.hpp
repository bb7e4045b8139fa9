#pragma once

// --class-weights: how a swarm makes rare classes count as much as frequent ones, and what the weights of classes
// are. docs/decisions/0048-class-weights.md has the reasons.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/schema.hpp"

namespace starling::peer {

struct CutShards;

enum class ClassWeighting : std::uint8_t {
    None = 0,      ///< all samples count alike
    Balanced = 1,  ///< a sample's loss is multiplied by the weight of its class
    Logits = 2,    ///< the logarithms of the weights are taken from the scores while training
};

inline constexpr ClassWeighting kClassWeightingLast = ClassWeighting::Logits;

/// In the loss no class weighs more than so many times as much as another one, and no label where it holds than where it is not.
inline constexpr double kClassWeightRatioMax = 100.0;

/// Reads `none`, `balanced` or `logits`.
/// Errors    Usage
[[nodiscard]] Result<ClassWeighting> parse_class_weighting(std::string_view text);

/// How often each class, or each of several labels, occurs among samples.
struct ClassCounts {
    std::vector<std::uint64_t> of_class;
    std::uint64_t samples = 0;
};

/// Counts the classes, or labels, of the training samples. Takes a pass over the labels.
/// Requires  labels of kind Class or Classes
[[nodiscard]] ClassCounts count_classes(const CutShards& data);

/// Returns weights under which all classes count alike: that of a class falls with its count plus one, and the
/// mean over the samples is 1. Of several labels each has the weight that makes its holding count as much as its not
/// holding (`pos_weight`). Ratios are at most kClassWeightRatioMax; without a sample there are no weights.
///
/// Requires  kind Class or Classes
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] std::vector<float> balanced_weights(data::LabelKind kind, const ClassCounts& counts);

/// Returns balanced_weights() of these training samples (Logits: ratios up to 1,000), and tells people of them in `notes`. Nothing if
/// none are wanted.
/// Errors    Usage: labels without classes, data that bring weights of their own (balance=1, pos_weight=W)
[[nodiscard]] Result<std::vector<float>> weigh_classes(
    ClassWeighting weighting, const CutShards& data, std::vector<std::string>& notes
);

}  // namespace starling::peer
