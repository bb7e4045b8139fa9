#include "compute/graph/gradient_context.hpp"

#include "compute/graph/operator.hpp"

namespace starling::compute {

std::string_view GradientContext::op_name() const {
    return node_.op->name;
}

ValueId GradientContext::seeded_gradient(std::size_t i) {
    return output_gradients_[i] == ValueId::None ? constant(1.0) : output_gradients_[i];
}

ValueId GradientContext::constant(double value) {
    return emit("Constant", {}, {{"value", std::vector<double>{value}}})[0];
}

void GradientContext::contribute_reduced(std::size_t i, ValueId gradient) {
    const auto target = input_shape(i);
    const auto given = graph_.shape(gradient);
    std::vector<std::int64_t> axes;
    for (std::size_t k = 0; k < given.size(); ++k) {
        const auto added = given.size() - target.size();
        if (k < added || (target[k - added] == 1 && given[k] != 1)) {
            axes.push_back(static_cast<std::int64_t>(k));
        }
    }
    if (!axes.empty()) gradient = emit("ReduceSum", {gradient}, {{"axes", axes}})[0];
    if (graph_.shape(gradient) != target) {
        gradient = emit("Reshape", {gradient}, {{"shape", target}})[0];
    }
    contribute(i, gradient);
}

}  // namespace starling::compute
