#include "compute/reference/reference.hpp"

#include <algorithm>

#include "compute/graph/operator.hpp"

namespace starling::compute::reference {

namespace {

bool evaluate_reshaping(const Call& call) {
    const auto op = call.node.op->name;
    if (op != "Flatten" && op != "Reshape" && op != "Identity" && op != "Squeeze" &&
        op != "Unsqueeze")
        return false;
    call.outputs[0].values = call.inputs[0]->values;
    return true;
}

}  // namespace

Result<void> evaluate(const Graph& graph, Tensors& tensors) {
    for (const auto& node : graph.nodes()) {
        std::vector<Tensor> outputs;
        for (const auto id : node.outputs) {
            const auto& shape = graph.shape(id);
            const auto count = static_cast<std::size_t>(element_count(shape));
            outputs.push_back({shape, std::vector<double>(count, 0.0)});
        }
        Call call{node, {}, outputs};
        for (const auto id : node.inputs) {
            call.inputs.push_back(id == ValueId::None ? nullptr : &tensors.at(id));
        }
        const bool done =
            evaluate_convolution(call) || evaluate_pooling(call) || evaluate_matrix(call) ||
            evaluate_elementwise(call) || evaluate_loss(call) || evaluate_centre_point(call) ||
            evaluate_reshaping(call) || evaluate_reduction(call) || evaluate_movement(call) ||
            evaluate_normalization(call) || evaluate_attention(call);
        if (!done) {
            return fail(FaultCode::Unsupported, std::string(node.op->name) + " has no reference");
        }
        if (node.attributes.integer("fused_relu", 0) != 0) {
            for (auto& value : outputs[0].values) value = std::max(value, 0.0);
        }
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            tensors[node.outputs[i]] = std::move(outputs[i]);
        }
    }
    return {};
}

}  // namespace starling::compute::reference
