// Products of matrices.

#include <array>

#include "compute/ops/operator.hpp"

namespace starling::compute {

namespace {

const Attributes kTransposeA{{"transA", std::int64_t{1}}};
const Attributes kTransposeB{{"transB", std::int64_t{1}}};

InferredTypes infer_gemm(OperandTypes inputs, const Attributes& attributes) {
    const auto& a = inputs[0]->shape;
    const auto& b = inputs[1]->shape;
    if (attributes.real("alpha", 1.0) != 1.0 || attributes.real("beta", 1.0) != 1.0) {
        return fail(FaultCode::Unsupported, "Gemm wants alpha = beta = 1");
    }
    const std::size_t swap_a = attributes.integer("transA", 0) != 0 ? 1 : 0;
    const std::size_t swap_b = attributes.integer("transB", 0) != 0 ? 1 : 0;
    if (a.size() != 2 || b.size() != 2 || a[1 - swap_a] != b[swap_b]) {
        return fail(
            FaultCode::BadValue,
            "a product of " + to_string(a) + " and " + to_string(b) + " does not fit"
        );
    }
    const Shape y{a[swap_a], b[1 - swap_b]};
    if (inputs.size() == 3 && inputs[2] != nullptr && inputs[2]->shape != Shape{y[1]}) {
        return fail(
            FaultCode::Unsupported,
            "Gemm wants C of shape " + to_string(Shape{y[1]}) + ", not " +
                to_string(inputs[2]->shape)
        );
    }
    return std::vector<TensorType>{{y}};
}

/// With A' = op(A), B' = op(B): dA' = dY B'^T and dB' = A'^T dY; a transposed operand swaps the
/// factors of its own gradient.
void gemm_gradient(GradientContext& context) {
    const auto dy = context.output_gradient(0);
    const auto a = context.input(0);
    const auto b = context.input(1);
    const bool swap_a = context.attributes().integer("transA", 0) != 0;
    const bool swap_b = context.attributes().integer("transB", 0) != 0;
    const auto gemm = [&](ValueId left, ValueId right, bool left_swapped, bool right_swapped) {
        const Attributes attributes{
            {"transA", std::int64_t{left_swapped}}, {"transB", std::int64_t{right_swapped}}};
        return context.emit("Gemm", {left, right}, attributes)[0];
    };
    if (context.wants(0)) {
        context.contribute(0, swap_a ? gemm(b, dy, swap_b, true) : gemm(dy, b, false, !swap_b));
    }
    if (context.wants(1)) {
        context.contribute(1, swap_b ? gemm(dy, a, true, swap_a) : gemm(a, dy, !swap_a, false));
    }
    if (context.wants(2)) {
        const Attributes axes{
            {"axes", std::vector<std::int64_t>{0}}, {"keepdims", std::int64_t{0}}};
        context.contribute(2, context.emit("ReduceSum", {dy}, axes)[0]);
    }
}

InferredTypes infer_matmul(OperandTypes inputs, const Attributes&) {
    return infer_gemm(inputs.first(2), {});
}

void matmul_gradient(GradientContext& context) {
    const auto dy = context.output_gradient(0);
    if (context.wants(0)) {
        context.contribute(0, context.emit("Gemm", {dy, context.input(1)}, kTransposeB)[0]);
    }
    if (context.wants(1)) {
        context.contribute(1, context.emit("Gemm", {context.input(0), dy}, kTransposeA)[0]);
    }
}

InferredTypes infer_reduce_sum(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    if (x.size() != 2 || attributes.integers("axes", {}) != std::vector<std::int64_t>{0} ||
        attributes.integer("keepdims", 1) != 0) {
        return fail(FaultCode::Unsupported, "ReduceSum works on axis 0 of a matrix, keepdims = 0");
    }
    return std::vector<TensorType>{{{x[1]}}};
}

constexpr std::array<Operator, 3> kOperators{{
    {"Gemm",
     "A [N,K], B [K,O], C [O] optional -> A B + C; transA and transB swap the axes of A and B",
     2,
     3,
     infer_gemm,
     gemm_gradient},
    {"MatMul", "A [N,K], B [K,O] -> A B", 2, 2, infer_matmul, matmul_gradient},
    {"ReduceSum", "X [N,O] -> [O]: sum over axis 0", 1, 1, infer_reduce_sum, nullptr},
}};

}  // namespace

std::span<const Operator> matrix_operators() {
    return kOperators;
}

}  // namespace starling::compute
