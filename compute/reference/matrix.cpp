#include <utility>

#include "compute/graph/operator.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

namespace {

/// Returns the view of an operand of a batched product, with its batch broadcast to `batch`.
View matrix_view(const Tensor& x, bool swap, const Shape& batch) {
    Shape whole = batch;
    whole.insert(whole.end(), x.shape.end() - 2, x.shape.end());
    auto view = broadcast_view(x.shape, whole);
    const auto rank = whole.size();
    // The matrix axes are not broadcast: an axis of length one is not repeated.
    view.strides[rank - 1] = 1;
    view.strides[rank - 2] = x.shape.back();
    if (swap) {
        std::swap(view.strides[rank - 1], view.strides[rank - 2]);
        std::swap(view.shape[rank - 1], view.shape[rank - 2]);
    }
    return view;
}

bool evaluate_matmul(const Call& call) {
    auto& y = call.outputs[0];
    const Shape batch(y.shape.begin(), y.shape.end() - 2);
    const auto& attributes = call.node.attributes;
    const auto a_view = matrix_view(*call.inputs[0], attributes.integer("transA", 0) != 0, batch);
    const auto b_view = matrix_view(*call.inputs[1], attributes.integer("transB", 0) != 0, batch);
    const auto a = read_view(call.inputs[0]->values, a_view);
    const auto b = read_view(call.inputs[1]->values, b_view);
    const auto depth = static_cast<std::size_t>(a_view.shape.back());
    const auto columns = static_cast<std::size_t>(y.shape.back());
    const auto rows = static_cast<std::size_t>(y.shape[y.shape.size() - 2]);
    for (std::size_t i = 0; i < y.values.size(); ++i) {
        const auto row = i / columns;
        const auto matrix = row / rows;
        for (std::size_t k = 0; k < depth; ++k) {
            y.values[i] += a[row * depth + k] * b[(matrix * depth + k) * columns + i % columns];
        }
    }
    return true;
}

}  // namespace

bool evaluate_matrix(const Call& call) {
    const auto op = call.node.op->name;
    if (op == "MatMul") return evaluate_matmul(call);
    if (op != "Gemm") return false;
    const auto& a = *call.inputs[0];
    auto& y = call.outputs[0];
    const auto& b = *call.inputs[1];
    const bool swap_a = call.node.attributes.integer("transA", 0) != 0;
    const bool swap_b = call.node.attributes.integer("transB", 0) != 0;
    const auto element = [](const Tensor& t, bool swap, std::int64_t row, std::int64_t column) {
        const auto index = swap ? column * t.shape[1] + row : row * t.shape[1] + column;
        return t.values[static_cast<std::size_t>(index)];
    };
    const auto depth = a.shape[swap_a ? 0 : 1];
    for (std::int64_t n = 0; n < y.shape[0]; ++n) {
        for (std::int64_t o = 0; o < y.shape[1]; ++o) {
            double sum = 0.0;
            for (std::int64_t k = 0; k < depth; ++k) {
                sum += element(a, swap_a, n, k) * element(b, swap_b, k, o);
            }
            if (call.inputs.size() > 2 && call.inputs[2] != nullptr) {
                sum += call.inputs[2]->values[static_cast<std::size_t>(o)];
            }
            y.values[static_cast<std::size_t>(n * y.shape[1] + o)] = sum;
        }
    }
    return true;
}

}  // namespace starling::compute::reference
