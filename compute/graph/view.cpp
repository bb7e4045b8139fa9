#include "compute/graph/view.hpp"

#include <algorithm>
#include <limits>

namespace starling::compute {

std::vector<std::int64_t> row_major_strides(const Shape& shape) {
    std::vector<std::int64_t> strides(shape.size(), 1);
    for (std::size_t i = shape.size(); i > 1; --i) strides[i - 2] = strides[i - 1] * shape[i - 1];
    return strides;
}

Result<Shape> broadcast_shapes(const Shape& a, const Shape& b) {
    const auto rank = std::max(a.size(), b.size());
    Shape y(rank, 1);
    for (std::size_t i = 0; i < rank; ++i) {
        const auto left = i < a.size() ? a[a.size() - 1 - i] : 1;
        const auto right = i < b.size() ? b[b.size() - 1 - i] : 1;
        if (left != right && left != 1 && right != 1) {
            return fail(
                FaultCode::BadValue,
                "operands " + to_string(a) + " and " + to_string(b) + " do not broadcast"
            );
        }
        y[rank - 1 - i] = left == 1 ? right : left;
    }
    const auto sound = check_shape(y);
    if (sound.has_error()) return sound.error();
    return y;
}

View broadcast_view(const Shape& from, const Shape& to) {
    View view{to, std::vector<std::int64_t>(to.size(), 0), 0};
    const auto strides = row_major_strides(from);
    for (std::size_t i = 0; i < from.size(); ++i) {
        if (from[i] != 1) view.strides[to.size() - from.size() + i] = strides[i];
    }
    return view;
}

Result<View> transpose_view(const Shape& x, const Attributes& attributes) {
    std::vector<std::int64_t> order(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        order[i] = static_cast<std::int64_t>(x.size() - 1 - i);
    }
    order = attributes.integers("perm", order);
    std::vector<bool> seen(x.size(), false);
    bool good = order.size() == x.size();
    View view;
    const auto strides = row_major_strides(x);
    for (std::size_t i = 0; good && i < order.size(); ++i) {
        const auto axis = normal_axis(order[i], x.size());
        good = axis >= 0 && !seen[static_cast<std::size_t>(axis)];
        if (!good) break;
        seen[static_cast<std::size_t>(axis)] = true;
        view.shape.push_back(x[static_cast<std::size_t>(axis)]);
        view.strides.push_back(strides[static_cast<std::size_t>(axis)]);
    }
    if (!good) {
        return fail(FaultCode::BadValue, "perm is no order of the axes of " + to_string(x));
    }
    return view;
}

Result<View> slice_view(const Shape& x, const Attributes& attributes) {
    const auto starts = attributes.integers("starts", {});
    const auto ends = attributes.integers("ends", {});
    std::vector<std::int64_t> axes(starts.size());
    for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
    axes = attributes.integers("axes", axes);
    const auto steps = attributes.integers("steps", std::vector<std::int64_t>(starts.size(), 1));
    View view{x, row_major_strides(x), 0};
    const Fault misfit{FaultCode::BadValue, "the slice does not fit " + to_string(x)};
    const bool counts = ends.size() == starts.size() && axes.size() == starts.size() &&
                        steps.size() == starts.size();
    if (!counts) return misfit;
    std::vector<bool> seen(x.size(), false);
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const auto axis = normal_axis(axes[i], x.size());
        if (axis < 0 || steps[i] == 0 || seen[static_cast<std::size_t>(axis)]) return misfit;
        if (steps[i] == std::numeric_limits<std::int64_t>::min()) return misfit;
        const auto k = static_cast<std::size_t>(axis);
        seen[k] = true;
        const auto size = x[k];
        const bool forward = steps[i] > 0;
        // ONNX allows any number at both ends and clamps it; a slice that goes backwards may end
        // one before the first element.
        const auto clamp = [&](std::int64_t at) {
            if (at < 0) at = std::max(at, -size - 1) + size;
            return std::clamp<std::int64_t>(at, forward ? 0 : -1, forward ? size : size - 1);
        };
        const auto begin = clamp(starts[i]);
        // A hugely negative end of a slice that goes backwards means "through the first element".
        const auto end = !forward && ends[i] < -size ? -1 : clamp(ends[i]);
        const auto step = forward ? steps[i] : -steps[i];
        const auto room = forward ? end - begin : begin - end;
        if (room < 1) return misfit;
        view.shape[k] = (room - 1) / step + 1;
        view.offset += begin * view.strides[k];
        view.strides[k] *= view.shape[k] == 1 ? 1 : steps[i];
    }
    return view;
}

Result<View> expand_view(const Shape& x, const Attributes& attributes) {
    const auto shape = attributes.integers("shape", {});
    const auto sound = check_shape(shape);
    if (sound.has_error()) return sound.error();
    const auto y = broadcast_shapes(x, shape);
    if (y.has_error()) return y.error();
    return broadcast_view(x, *y);
}

std::int64_t normal_axis(std::int64_t axis, std::size_t rank) {
    const auto count = static_cast<std::int64_t>(rank);
    if (axis < -count || axis >= count) return -1;
    return axis < 0 ? axis + count : axis;
}

Result<std::vector<bool>> reduced_axes(const Shape& x, const Attributes& attributes) {
    const auto axes = attributes.integers("axes", {});
    std::vector<bool> reduced(x.size(), axes.empty());
    for (const auto given : axes) {
        const auto axis = normal_axis(given, x.size());
        if (axis < 0) {
            return fail(
                FaultCode::BadValue, to_string(x) + " has no axis " + std::to_string(given)
            );
        }
        reduced[static_cast<std::size_t>(axis)] = true;
    }
    return reduced;
}

Cut cut_at(const Shape& shape, std::int64_t axis) {
    Cut cut;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i);
        (at < axis ? cut.outer : at == axis ? cut.length : cut.inner) *= shape[i];
    }
    return cut;
}

Result<void> check_shape(const Shape& shape) {
    std::int64_t product = 1;
    for (const auto dimension : shape) {
        if (dimension < 1) {
            return fail(FaultCode::BadValue, "a shape with a dimension below one is not supported");
        }
        if (dimension > kElementsMax / product) {
            return fail(FaultCode::Oversized, "a shape of more than 2^32 elements");
        }
        product *= dimension;
    }
    return {};
}

}  // namespace starling::compute
