#include "compute/models/training_loss.hpp"

#include <cmath>

namespace starling::compute {

namespace {

std::string_view loss_operator(const Task& task) {
    switch (task.kind) {
        case LabelKind::Class:
            return "SoftmaxCrossEntropyLoss";
        case LabelKind::Classes:
            return "BinaryCrossEntropyLoss";
        case LabelKind::Boxes:
            return "CentrePointLoss";
        case LabelKind::Numbers:
            break;
    }
    return task.beta == 0.0 ? "MeanSquaredErrorLoss" : "SmoothL1Loss";
}

/// A number for each class.
ValueId of_classes(Graph& graph, std::vector<double> numbers) {
    const Shape shape{static_cast<std::int64_t>(numbers.size())};
    return graph.emit("Constant", {}, {{"value", std::move(numbers)}, {"shape", shape}})[0];
}

}  // namespace

TensorType label_type(const Task& task, Shape rows) {
    if (task.kind == LabelKind::Class) return {std::move(rows), ElementType::I32};
    if (task.kind == LabelKind::Boxes) {
        rows.insert(rows.end(), {task.boxes, kBoxNumbers});
    } else {
        rows.push_back(task.classes);
    }
    return {std::move(rows), ElementType::F32};
}

Result<TrainingLoss> add_training_loss(
    Graph& graph, ValueId scores, ValueId labels, const Task& task
) {
    std::vector<ValueId> operands{scores, labels};
    if (!task.weights.empty() && task.weighting == Weighting::Loss) {
        operands.push_back(of_classes(graph, {task.weights.begin(), task.weights.end()}));
    }
    Attributes attributes;
    if (task.beta != 0.0) attributes.set("beta", task.beta);
    auto outputs = graph.add(loss_operator(task), std::move(operands), std::move(attributes));
    if (outputs.has_error()) return outputs.error();
    const bool of_class = task.kind == LabelKind::Class;
    return TrainingLoss{(*outputs)[0], of_class ? (*outputs)[1] : scores};
}

ValueId scores_to_train(Graph& graph, ValueId scores, const Task& task) {
    if (task.weights.empty() || task.weighting != Weighting::Scores) return scores;
    std::vector<double> shifts;
    for (const float weight : task.weights) {
        shifts.push_back(-std::log(static_cast<double>(weight)));
    }
    return graph.emit("Add", {scores, of_classes(graph, std::move(shifts))})[0];
}

}  // namespace starling::compute
