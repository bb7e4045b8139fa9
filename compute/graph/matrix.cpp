// Products of matrices.

#include <array>
#include <utility>

#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute {

namespace {

InferredTypes infer_gemm(OperandTypes inputs, const Attributes& attributes) {
    const auto& a = inputs[0]->shape;
    const auto& b = inputs[1]->shape;
    const std::size_t swap_a = attributes.integer("transA", 0) != 0 ? 1 : 0;
    const std::size_t swap_b = attributes.integer("transB", 0) != 0 ? 1 : 0;
    if (a.size() != 2 || b.size() != 2 || a[1 - swap_a] != b[swap_b]) {
        return fail(
            FaultCode::BadValue,
            "a product of " + to_string(a) + " and " + to_string(b) + " does not fit"
        );
    }
    const Shape y{a[swap_a], b[1 - swap_b]};
    if (inputs.size() == 3 && inputs[2] != nullptr) {
        const auto wide = broadcast_shapes(inputs[2]->shape, y);
        if (wide.has_error() || *wide != y) {
            return fail(
                FaultCode::BadValue,
                "Gemm has no use for C of shape " + to_string(inputs[2]->shape) + " over " +
                    to_string(y)
            );
        }
    }
    return std::vector<TensorType>{{y}};
}

/// A Gemm's kernels take a bias [O] and factors of one; everything else is written as further
/// nodes.
Expansion expand_gemm(Graph& graph, const std::vector<ValueId>& inputs, const Attributes& given) {
    const double alpha = given.real("alpha", 1.0);
    const double beta = given.real("beta", 1.0);
    const auto c = inputs.size() > 2 ? inputs[2] : ValueId::None;
    const bool swap_a = given.integer("transA", 0) != 0;
    const bool swap_b = given.integer("transB", 0) != 0;
    const auto outputs = graph.shape(inputs[1])[swap_b ? 0 : 1];
    const bool bias =
        c == ValueId::None || (beta == 1.0 && !swap_a && graph.shape(c) == Shape{outputs});
    if (alpha == 1.0 && bias) return {};
    const auto scaled = [&](ValueId x, double factor) {
        if (factor == 1.0) return x;
        const Attributes value{{"value", std::vector<double>{factor}}};
        return graph.emit("Mul", {x, graph.emit("Constant", {}, value)[0]})[0];
    };
    const Attributes plain{{"transA", std::int64_t{swap_a}}, {"transB", std::int64_t{swap_b}}};
    const auto product = scaled(graph.emit("Gemm", {inputs[0], inputs[1]}, plain)[0], alpha);
    if (c == ValueId::None) return {product};
    return graph.emit("Add", {product, scaled(c, beta)});
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

Shape swapped(Shape shape, bool swap) {
    if (swap) std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
    return shape;
}

InferredTypes infer_matmul(OperandTypes inputs, const Attributes& attributes) {
    const auto misfit = fail(
        FaultCode::BadValue,
        "a product of " + to_string(inputs[0]->shape) + " and " + to_string(inputs[1]->shape) +
            " does not fit"
    );
    if (inputs[0]->shape.size() < 2 || inputs[1]->shape.size() < 2) return misfit;
    const auto a = swapped(inputs[0]->shape, attributes.integer("transA", 0) != 0);
    const auto b = swapped(inputs[1]->shape, attributes.integer("transB", 0) != 0);
    if (a.back() != b[b.size() - 2]) return misfit;
    auto y = broadcast_shapes(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
    if (y.has_error()) return y.error();
    y->push_back(a[a.size() - 2]);
    y->push_back(b.back());
    const auto sound = check_shape(*y);
    if (sound.has_error()) return sound.error();
    return std::vector<TensorType>{{std::move(*y)}};
}

/// When all products of a batch share the second matrix, they become one tall Gemm.
Expansion expand_matmul(Graph& graph, const std::vector<ValueId>& inputs, const Attributes& given) {
    const auto a = graph.shape(inputs[0]);
    const auto b = graph.shape(inputs[1]);
    if (b.size() != 2 || given.integer("transA", 0) != 0) return {};
    const Attributes side{{"transB", given.integer("transB", 0)}};
    if (a.size() == 2) return graph.emit("Gemm", inputs, side);
    const auto rows = graph.emit("Reshape", {inputs[0]}, {{"shape", Shape{-1, a.back()}}})[0];
    const auto product = graph.emit("Gemm", {rows, inputs[1]}, side)[0];
    Shape y = a;
    y.back() = graph.shape(product)[1];
    return graph.emit("Reshape", {product}, {{"shape", y}});
}

void matmul_gradient(GradientContext& context) {
    const auto dy = context.output_gradient(0);
    const auto a = context.input(0);
    const auto b = context.input(1);
    const bool swap_a = context.attributes().integer("transA", 0) != 0;
    const bool swap_b = context.attributes().integer("transB", 0) != 0;
    const auto product = [&](ValueId left, ValueId right, bool left_swapped, bool right_swapped) {
        const Attributes attributes{
            {"transA", std::int64_t{left_swapped}}, {"transB", std::int64_t{right_swapped}}};
        return context.emit("MatMul", {left, right}, attributes)[0];
    };
    if (context.wants(0)) {
        context.contribute_reduced(
            0, swap_a ? product(b, dy, swap_b, true) : product(dy, b, false, !swap_b)
        );
    }
    if (context.wants(1)) {
        context.contribute_reduced(
            1, swap_b ? product(dy, a, true, swap_a) : product(a, dy, !swap_a, false)
        );
    }
}

constexpr std::array<Operator, 2> kMatrixOperators{{
    {"Gemm",
     "A [N,K], B [K,O], C optional -> alpha A B + beta C, C broadcast; transA and transB swap the "
     "axes of A and B",
     2,
     3,
     infer_gemm,
     gemm_gradient,
     expand_gemm},
    {"MatMul",
     "A [..,N,K], B [..,K,O] -> A B, leading axes broadcast; gradients also set transA and transB, "
     "which ONNX does not have",
     2,
     2,
     infer_matmul,
     matmul_gradient,
     expand_matmul},
}};

}  // namespace

std::span<const Operator> matrix_operators() {
    return kMatrixOperators;
}

}  // namespace starling::compute
