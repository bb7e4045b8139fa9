#include "compute/models/training_loss.hpp"

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
    if (!task.weights.empty()) {
        const std::vector<double> weights(task.weights.begin(), task.weights.end());
        const Attributes given{{"value", weights}, {"shape", Shape{task.classes}}};
        operands.push_back(graph.emit("Constant", {}, given)[0]);
    }
    Attributes attributes;
    if (task.beta != 0.0) attributes.set("beta", task.beta);
    auto outputs = graph.add(loss_operator(task), std::move(operands), std::move(attributes));
    if (outputs.has_error()) return outputs.error();
    const bool of_class = task.kind == LabelKind::Class;
    return TrainingLoss{(*outputs)[0], of_class ? (*outputs)[1] : scores};
}

}  // namespace starling::compute
