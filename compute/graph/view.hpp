#pragma once

// Strided views of row-major tensors, which broadcasting, transposes and slices have in common. The
// element at some indices of a view is x[offset + sum of index * stride]; a stride of zero repeats.

#include <vector>

#include "base/result.hpp"
#include "compute/graph/node.hpp"

namespace starling::compute {

struct View {
    Shape shape;
    std::vector<std::int64_t> strides;
    std::int64_t offset = 0;
};

/// Returns the strides of a row-major tensor.
[[nodiscard]] std::vector<std::int64_t> row_major_strides(const Shape& shape);

/// Returns the shape that two shapes have together, dimensions aligned at the end.
/// Errors    BadValue (two dimensions differ and neither is one)
/// Source    ONNX, "Broadcasting in ONNX", multidirectional
[[nodiscard]] Result<Shape> broadcast_shapes(const Shape& a, const Shape& b);

/// Returns the view of a tensor of shape `from` as one of shape `to`.
/// Requires  broadcasting allows it
[[nodiscard]] View broadcast_view(const Shape& from, const Shape& to);

/// Return the view that the attributes of a Transpose, Slice or Expand node describe.
/// Errors    BadValue, Oversized
[[nodiscard]] Result<View> transpose_view(const Shape& x, const Attributes& attributes);
[[nodiscard]] Result<View> slice_view(const Shape& x, const Attributes& attributes);
[[nodiscard]] Result<View> expand_view(const Shape& x, const Attributes& attributes);

/// Returns the axis counted from the front, or -1 when the shape does not have it.
[[nodiscard]] std::int64_t normal_axis(std::int64_t axis, std::size_t rank);

/// Returns the axes that a reduction node names, as flags; all of them when it names none.
/// Errors    BadValue
[[nodiscard]] Result<std::vector<bool>> reduced_axes(const Shape& x, const Attributes& attributes);

/// A shape reduced to three dimensions: the product of the dimensions before one axis, that axis,
/// and the product of those behind it.
struct Cut {
    std::int64_t outer = 1;
    std::int64_t length = 1;
    std::int64_t inner = 1;
};

[[nodiscard]] Cut cut_at(const Shape& shape, std::int64_t axis);

/// The most elements that a value may have. The limit keeps products of dimensions far from
/// overflow, and a small file cannot ask for a huge tensor.
inline constexpr std::int64_t kElementsMax = std::int64_t{1} << 32;

/// Errors    BadValue (a dimension below one), Oversized
[[nodiscard]] Result<void> check_shape(const Shape& shape);

}  // namespace starling::compute
