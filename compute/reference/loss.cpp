#include <cmath>

#include "compute/ops/operator.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

namespace {

void cross_entropy(const Call& call) {
    const auto& scores = *call.inputs[0];
    const auto& labels = call.inputs[1]->values;
    const auto classes = static_cast<std::size_t>(scores.shape[1]);
    for (std::size_t n = 0; n < labels.size(); ++n) {
        double sum = 0.0;
        for (std::size_t c = 0; c < classes; ++c) sum += std::exp(scores.values[n * classes + c]);
        for (std::size_t c = 0; c < classes; ++c) {
            call.outputs[1].values[n * classes + c] =
                scores.values[n * classes + c] - std::log(sum);
        }
        const auto label = static_cast<std::size_t>(labels[n]);
        call.outputs[0].values[0] -=
            call.outputs[1].values[n * classes + label] / static_cast<double>(labels.size());
    }
}

void cross_entropy_gradient(const Call& call) {
    const auto& log_probabilities = *call.inputs[0];
    const auto& labels = call.inputs[1]->values;
    const auto classes = static_cast<std::size_t>(log_probabilities.shape[1]);
    const auto batch = static_cast<double>(labels.size());
    for (std::size_t i = 0; i < log_probabilities.values.size(); ++i) {
        const bool truth = i % classes == static_cast<std::size_t>(labels[i / classes]);
        const double probability = std::exp(log_probabilities.values[i]);
        call.outputs[0].values[i] = (probability - (truth ? 1.0 : 0.0)) / batch;
    }
}

}  // namespace

bool evaluate_loss(const Call& call) {
    const auto op = call.node.op->name;
    if (op == "SoftmaxCrossEntropyLoss") {
        cross_entropy(call);
    } else if (op == "SoftmaxCrossEntropyGrad") {
        cross_entropy_gradient(call);
    } else {
        return false;
    }
    return true;
}

}  // namespace starling::compute::reference
