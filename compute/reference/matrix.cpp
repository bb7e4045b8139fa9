#include "compute/ops/operator.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

bool evaluate_matrix(const Call& call) {
    const auto op = call.node.op->name;
    const auto& a = *call.inputs[0];
    auto& y = call.outputs[0];
    if (op == "ReduceSum") {
        for (std::size_t i = 0; i < a.values.size(); ++i) {
            y.values[i % y.values.size()] += a.values[i];
        }
        return true;
    }
    if (op != "Gemm" && op != "MatMul") return false;
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
