#include <algorithm>

#include "compute/ops/operator.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

bool evaluate_elementwise(const Call& call) {
    const auto op = call.node.op->name;
    const auto& a = call.inputs[0]->values;
    auto& y = call.outputs[0].values;
    if (op == "Relu") {
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = std::max(a[i], 0.0);
    } else if (op == "ReluGrad") {
        const auto& sign = call.inputs[1]->values;
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = sign[i] > 0.0 ? a[i] : 0.0;
    } else if (op == "Add") {
        const auto& b = call.inputs[1]->values;
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = a[i] + b[i];
    } else {
        return false;
    }
    return true;
}

}  // namespace starling::compute::reference
