#pragma once

// Decides which of a file's tensors are trained, and gives each of them one part to play.
//
// Exporters hide weights in two ways. Some write a weight as a Constant node, or behind an Identity,
// a Cast, a Transpose or a reshape. And most merge tensors of equal values, so that the scales and
// the running variances of a fresh net, which all are ones, become one tensor.

#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "compute/onnx/model_file.hpp"

namespace starling::compute::onnx {

/// The most elements that copies of shared tensors may have together.
inline constexpr std::size_t kCopiedElementsMax = std::size_t{1} << 23U;

struct Placement {
    /// Initializers that the exporter made up, and which are no parameters: the ones and zeros of an
    /// instance normalisation that spells out a group normalisation.
    std::set<std::string> made_up;
    std::vector<std::string> notes;  ///< lines for people about shared tensors
};

/// Turns Constant nodes in the place of a weight into initializers, puts initializers in the place
/// of their Identity nodes, and copies an initializer that plays several parts:
///
/// - A scale, a bias, a mean and a variance never share one.
/// - One whose elements are all equal was merged by the exporter, and each place gets its own. If the
///   file has names for the merged tensors, each name is a place.
/// - All others stay tied, as the embeddings of a language model are.
///
/// Errors    Oversized (more copies than kCopiedElementsMax allows), those of reading a tensor
[[nodiscard]] Result<Placement> place_parameters(ModelFile& file);

}  // namespace starling::compute::onnx
