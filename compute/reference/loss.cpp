#include <algorithm>
#include <cmath>
#include <span>

#include "compute/graph/operator.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

namespace {

/// The target of each sample, by its label.
class Targets {
public:
    Targets(const Call& call, std::size_t classes) : call_(call), classes_(classes) {
        for (std::size_t n = 0; n < call.inputs[1]->values.size(); ++n) total_ += weight(n);
    }

    /// The sum of the weights of all labels that count.
    [[nodiscard]] double total() const { return total_; }

    /// Returns the target for class c of sample n: the label's share and that of smoothing.
    [[nodiscard]] double pull(std::size_t n, std::size_t c) const {
        if (weight(n) == 0.0 && !counts(n)) return 0.0;
        const double smoothing = call_.node.attributes.real("label_smoothing", 0.0);
        const bool truth = static_cast<double>(c) == call_.inputs[1]->values[n];
        return class_weight(c) *
               ((truth ? 1.0 - smoothing : 0.0) + smoothing / static_cast<double>(classes_));
    }

private:
    [[nodiscard]] bool counts(std::size_t n) const {
        const double label = call_.inputs[1]->values[n];
        const auto ignored =
            static_cast<double>(call_.node.attributes.integer("ignore_index", -100));
        return label >= 0.0 && label < static_cast<double>(classes_) && label != ignored;
    }

    [[nodiscard]] double weight(std::size_t n) const {
        if (!counts(n)) return 0.0;
        return class_weight(static_cast<std::size_t>(call_.inputs[1]->values[n]));
    }

    [[nodiscard]] double class_weight(std::size_t c) const {
        const bool given = call_.inputs.size() > 2 && call_.inputs[2] != nullptr;
        return given ? call_.inputs[2]->values[c] : 1.0;
    }

    const Call& call_;
    std::size_t classes_;
    double total_ = 0.0;
};

void cross_entropy(const Call& call) {
    const auto& scores = *call.inputs[0];
    const auto classes = static_cast<std::size_t>(scores.shape[1]);
    const Targets targets(call, classes);
    for (std::size_t n = 0; n < scores.values.size() / classes; ++n) {
        const auto row = std::span(scores.values).subspan(n * classes, classes);
        const double top = *std::max_element(row.begin(), row.end());
        double sum = 0.0;
        for (const auto score : row) sum += std::exp(score - top);
        for (std::size_t c = 0; c < classes; ++c) {
            const double logarithm = row[c] - top - std::log(sum);
            call.outputs[1].values[n * classes + c] = logarithm;
            call.outputs[0].values[0] -= targets.pull(n, c) * logarithm / targets.total();
        }
    }
}

void cross_entropy_gradient(const Call& call) {
    const auto& log_probabilities = *call.inputs[0];
    const auto classes = static_cast<std::size_t>(log_probabilities.shape[1]);
    const Targets targets(call, classes);
    for (std::size_t n = 0; n < log_probabilities.values.size() / classes; ++n) {
        double pulls = 0.0;
        for (std::size_t c = 0; c < classes; ++c) pulls += targets.pull(n, c);
        for (std::size_t c = 0; c < classes; ++c) {
            const double probability = std::exp(log_probabilities.values[n * classes + c]);
            call.outputs[0].values[n * classes + c] =
                (probability * pulls - targets.pull(n, c)) / targets.total();
        }
    }
}

void score(const Call& call) {
    const auto& answers = call.inputs[0]->values;
    const auto& labels = call.inputs[1]->values;
    auto& hits = call.outputs[0].values[0];
    if (call.inputs[0]->shape == call.inputs[1]->shape) {
        for (std::size_t i = 0; i < labels.size(); ++i) {
            hits += (answers[i] > 0.0) == (labels[i] > 0.5) ? 1.0 : 0.0;
        }
        return;
    }
    const auto classes = answers.size() / labels.size();
    for (std::size_t n = 0; n < labels.size(); ++n) {
        const auto row = std::span(answers).subspan(n * classes, classes);
        const auto best = std::max_element(row.begin(), row.end()) - row.begin();
        hits += static_cast<double>(best) == labels[n] ? 1.0 : 0.0;
    }
}

}  // namespace

bool evaluate_loss(const Call& call) {
    const auto op = call.node.op->name;
    if (op == "SoftmaxCrossEntropyLoss") {
        cross_entropy(call);
    } else if (op == "SoftmaxCrossEntropyGrad") {
        cross_entropy_gradient(call);
    } else if (op == "Score") {
        score(call);
    } else {
        return false;
    }
    return true;
}

}  // namespace starling::compute::reference
