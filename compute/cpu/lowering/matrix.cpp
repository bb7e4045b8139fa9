// Matrix products. The two shapes of a fully connected layer go to inner-product primitives, which
// take a bias and a Relu; everything else is a strided product.
//
// All operands stay row-major. Blocked weights would make the product itself up to 20 % faster, but
// each training step changes the weights, and packing and unpacking them would cost more: mlp and
// cnn with batch 64 would lose 10 % of their matrix time. Besides, brgemm_bwd_w of oneDNN 2.6 spins
// at barriers between its threads, which takes ten times as long when other work shares the cores.

#include <utility>

#include "compute/cpu/lowering/lowering.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute::cpu {

namespace {

/// op(A) as a matrix description over the row-major floats of A.
Desc view_of(const Shape& shape, bool swapped) {
    return swapped ? strided(shape[1], shape[0], 1, shape[1])
                   : strided(shape[0], shape[1], shape[1], 1);
}

/// The layout of a factor in the plan's precision.
Desc factor(const Lowering& lowering, const Desc& desc) {
    return lowering.bf16() ? in_bf16(desc) : desc;
}

/// Returns the index of the fastest primitive, or their number where OpenBLAS is faster.
std::size_t fastest_product(
    const Lowering& lowering,
    std::string_view work,
    const std::vector<Compiled>& primitives,
    const BlasProduct& blas
) {
    std::vector<Candidate> candidates;
    for (const auto& primitive : primitives) candidates.push_back(candidate_of(primitive));
    if (!lowering.bf16()) candidates.push_back(candidate_of(blas));
    return lowering.fastest_index(work, candidates);
}

/// Adds a product by OpenBLAS, for shapes where a measurement found it faster.
void lower_blas(
    Lowering& lowering, const BlasProduct& product, ValueId a, ValueId b, ValueId bias
) {
    const auto y = lowering.output();
    std::vector<BufferId> operands{
        lowering.use_plain(a),
        lowering.use_plain(b),
        lowering.define(y, plain(lowering.graph().shape(y)))};
    const bool biased = bias != ValueId::None;
    if (biased) operands.push_back(lowering.use_plain(bias));
    lowering.add_loop(
        lowering.node().name,
        std::move(operands),
        [product, biased](LoopKernel::Operands o) {
            multiply(
                product,
                floats(o[0]).data(),
                floats(o[1]).data(),
                biased ? floats(o[3]).data() : nullptr,
                floats(o[2]).data()
            );
        }
    );
}

/// Y [N,O] = A [N,K] op(B) [K,O] + C.
void lower_forward(Lowering& lowering, bool swap_b) {
    const auto a = lowering.input(0);
    const auto b = lowering.input(1);
    const auto c = lowering.input(2);
    const auto y = lowering.output();
    const auto& graph = lowering.graph();
    const auto& weight = graph.shape(b);
    // The primitive's weights are [O,K]: B as it lies when transB is set, else its transpose.
    const auto view = view_of(weight, !swap_b);
    InnerProduct p;
    p.batch = graph.shape(a)[0];
    p.inputs = graph.shape(a)[1];
    p.outputs = graph.shape(y)[1];
    p.weight = view;
    p.bias = c != ValueId::None;
    p.relu = lowering.node().attributes.integer("fused_relu", 0) != 0;
    p.training = lowering.training();
    p.bf16 = lowering.bf16();
    p.bf16_result = lowering.rounds(y);
    std::vector<Compiled> candidates;
    candidates.push_back(inner_product_forward(p));
    if (lowering.measures()) {
        // op(B) as the product sees it: K rows of O.
        const auto right = factor(lowering, view_of(weight, swap_b));
        const auto left = factor(lowering, plain({p.batch, p.inputs}));
        candidates.push_back(matrix_product(
            left, right, lowering.typed(y, plain({p.batch, p.outputs})), {p.bias, p.relu}
        ));
    }
    const BlasProduct blas{lowering.threads(), p.batch, p.outputs, p.inputs, false, swap_b, p.relu};
    const auto choice =
        fastest_product(lowering, p.relu ? "product, relu" : "product", candidates, blas);
    if (choice == candidates.size()) return lower_blas(lowering, blas, a, b, c);
    auto compiled = std::move(candidates[choice]);
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_SRC, lowering.use(a, compiled.desc(DNNL_ARG_SRC))},
        {DNNL_ARG_WEIGHTS, lowering.use(b, factor(lowering, plain(weight)))},
    };
    if (p.bias) operands.push_back({DNNL_ARG_BIAS, lowering.use_plain(c)});
    operands.push_back({DNNL_ARG_DST, lowering.define(y, compiled.desc(DNNL_ARG_DST))});
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

/// dW [O,K] = dY^T [O,N] X [N,K], with A = dY and B = X.
void lower_weight_gradient(Lowering& lowering) {
    const auto dy = lowering.input(0);
    const auto x = lowering.input(1);
    const auto dw = lowering.output();
    InnerProduct p;
    p.batch = lowering.graph().shape(x)[0];
    p.inputs = lowering.graph().shape(x)[1];
    p.outputs = lowering.graph().shape(dy)[1];
    p.weight = plain({p.outputs, p.inputs});
    p.bf16 = lowering.bf16();
    std::vector<Compiled> candidates;
    candidates.push_back(inner_product_backward_weight(p));
    if (lowering.measures()) {
        const auto left = factor(lowering, view_of({p.batch, p.outputs}, true));
        const auto right = factor(lowering, plain({p.batch, p.inputs}));
        candidates.push_back(matrix_product(left, right, p.weight));
    }
    const BlasProduct blas{lowering.threads(), p.outputs, p.inputs, p.batch, true, false, false};
    const auto choice = fastest_product(lowering, "weight product", candidates, blas);
    if (choice == candidates.size()) return lower_blas(lowering, blas, dy, x, ValueId::None);
    auto compiled = std::move(candidates[choice]);
    const bool inner = compiled.has(DNNL_ARG_DIFF_WEIGHTS);
    const auto from = lowering.use(x, factor(lowering, plain({p.batch, p.inputs})));
    const auto slope = lowering.use(dy, factor(lowering, plain({p.batch, p.outputs})));
    std::vector<PrimitiveKernel::Operand> operands{
        {inner ? DNNL_ARG_SRC : DNNL_ARG_WEIGHTS, from},
        {inner ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, slope},
        {inner ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_DST, lowering.define(dw, p.weight)},
    };
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

/// Y = A^T op(B), where B may be transposed, too. No layer of ours needs it.
void lower_general(Lowering& lowering, bool swap_b) {
    if (lowering.input(2) != ValueId::None) {
        throw std::runtime_error(lowering.node().name + ": transA with C has no CPU kernel");
    }
    const auto a = lowering.input(0);
    const auto b = lowering.input(1);
    const auto y = lowering.output();
    const auto a_view = view_of(lowering.graph().shape(a), true);
    const auto b_view = view_of(lowering.graph().shape(b), swap_b);
    const auto y_layout = plain(lowering.graph().shape(y));
    auto compiled = matrix_product(a_view, b_view, y_layout);
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_SRC, lowering.use(a, plain(lowering.graph().shape(a)))},
        {DNNL_ARG_WEIGHTS, lowering.use(b, plain(lowering.graph().shape(b)))},
        {DNNL_ARG_DST, lowering.define(y, y_layout)},
    };
    lowering.add_primitive(lowering.node().name, std::move(compiled), std::move(operands));
}

}  // namespace

void lower_gemm(Lowering& lowering) {
    const auto& attributes = lowering.node().attributes;
    const bool swap_a = attributes.integer("transA", 0) != 0;
    const bool swap_b = attributes.integer("transB", 0) != 0;
    const bool finishes =
        lowering.input(2) != ValueId::None || attributes.integer("fused_relu", 0) != 0;
    if (!swap_a) {
        lower_forward(lowering, swap_b);
    } else if (!swap_b && !finishes) {
        lower_weight_gradient(lowering);
    } else {
        lower_general(lowering, swap_b);
    }
}

void lower_matmul(Lowering& lowering) {
    const auto& node = lowering.node();
    const auto& y = lowering.graph().shape(lowering.output());
    const auto view = [&](ValueId id, const char* swap) {
        // An operand with fewer batch axes gets axes of one in front, and the library repeats it.
        Shape shape = lowering.graph().shape(id);
        shape.insert(shape.begin(), y.size() - shape.size(), 1);
        auto strides = row_major_strides(shape);
        if (node.attributes.integer(swap, 0) != 0) {
            const auto last = shape.size() - 1;
            std::swap(shape[last], shape[last - 1]);
            std::swap(strides[last], strides[last - 1]);
        }
        return factor(lowering, strided(shape, strides));
    };
    const auto operand = [&](std::size_t i) {
        const auto id = lowering.input(i);
        return lowering.use(id, factor(lowering, plain(lowering.graph().shape(id))));
    };
    const auto layout = lowering.typed(lowering.output(), plain(y));
    auto compiled = matrix_product(
        view(lowering.input(0), "transA"), view(lowering.input(1), "transB"), layout
    );
    std::vector<PrimitiveKernel::Operand> operands{
        {DNNL_ARG_SRC, operand(0)},
        {DNNL_ARG_WEIGHTS, operand(1)},
        {DNNL_ARG_DST, lowering.define(lowering.output(), layout)},
    };
    lowering.add_primitive(node.name, std::move(compiled), std::move(operands));
}

}  // namespace starling::compute::cpu
