#include "compute/graph/cost.hpp"

#include "compute/graph/operator.hpp"

namespace starling::compute {

namespace {

double elements(const Graph& graph, ValueId id) {
    return static_cast<double>(element_count(graph.shape(id)));
}

/// Each element of the output side is multiplied with one filter.
double convolution_flops(const Graph& graph, ValueId y, ValueId w) {
    return 2.0 * elements(graph, y) * elements(graph, w) /
           static_cast<double>(graph.shape(w).front());
}

double product_flops(const Graph& graph, const Node& node) {
    const auto& a = graph.shape(node.inputs[0]);
    const bool swapped = node.attributes.integer("transA", 0) != 0;
    const auto inner = a.size() < 2 ? a.back() : a[a.size() - (swapped ? 2 : 1)];
    return 2.0 * elements(graph, node.outputs[0]) * static_cast<double>(inner);
}

double attention_flops(const Graph& graph, ValueId qkv, double products) {
    const auto& x = graph.shape(qkv);
    const auto tokens = static_cast<double>(x[1]);
    return products * elements(graph, qkv) / 3.0 * (tokens + 1.0);
}

}  // namespace

double flops_of(const Graph& graph, const Node& node) {
    const auto op = node.op->name;
    if (op == "Conv") return convolution_flops(graph, node.outputs[0], node.inputs[1]);
    if (op == "ConvGradInput") return convolution_flops(graph, node.inputs[0], node.inputs[1]);
    if (op == "ConvGradWeight") return convolution_flops(graph, node.inputs[0], node.outputs[0]);
    if (op == "Gemm" || op == "MatMul") return product_flops(graph, node);
    if (op == "CausalAttention") return attention_flops(graph, node.inputs[0], 2.0);
    if (op == "CausalAttentionGrad") return attention_flops(graph, node.inputs[1], 4.0);
    return 0.0;
}

}  // namespace starling::compute
