// A model that comes as an ONNX file: its graph up to the scores, trained as any other.

#include <algorithm>

#include "compute/graph/operator.hpp"
#include "compute/models/models.hpp"
#include "compute/onnx/import.hpp"

namespace starling::compute {

namespace {

/// The file's input keeps the shape that it has in the file: [N, 784] takes samples of 1 x 28 x 28.
Result<void> check_input(const onnx::ImportedModel& model, const Task& task, std::int64_t batch) {
    if (model.inputs.size() != 1) {
        return fail(
            FaultCode::Unsupported,
            "onnx: the model has " + std::to_string(model.inputs.size()) +
                " inputs; one, for the samples, is supported"
        );
    }
    const auto& shape = model.graph.shape(model.inputs[0].id);
    if (element_count(shape) != element_count(task.sample_shape) * batch || shape.empty()) {
        return fail(
            FaultCode::BadValue,
            "onnx: the model takes " +
                to_string(shape.empty() ? shape : Shape(shape.begin() + 1, shape.end())) +
                ", samples are " + to_string(task.sample_shape)
        );
    }
    return {};
}

/// Returns the operand of a final softmax: a graph that ends in probabilities is trained on its
/// scores, because the loss applies a softmax of its own, and two in a row would flatten the
/// gradient.
ValueId without_softmax(const Graph& graph, ValueId scores) {
    for (const auto& node : graph.nodes()) {
        const bool softmax = node.op->name == "Softmax" || node.op->name == "LogSoftmax";
        if (!softmax || node.outputs[0] != scores) continue;
        const auto rank = static_cast<std::int64_t>(graph.shape(scores).size());
        const auto axis = node.attributes.integer("axis", -1);
        if (axis == -1 || axis == rank - 1) return node.inputs[0];
    }
    return scores;
}

}  // namespace

Result<Model> build_onnx(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose, ByteView file
) {
    const auto known = spec.only("loss");
    if (known.has_error()) return known.error();
    const auto loss = spec.text("loss", "cross-entropy");
    if (loss != "cross-entropy") {
        return fail(
            FaultCode::Usage, "'onnx': loss=" + loss + " is not allowed; give cross-entropy"
        );
    }
    if (file.empty()) {
        return fail(FaultCode::Usage, "'onnx': give a file, as in onnx:net.onnx");
    }
    onnx::ImportOptions options;
    options.batch = batch;
    options.purpose = purpose;
    options.settle = true;
    options.float_inputs = true;
    auto imported = onnx::import_onnx(file, options);
    if (imported.has_error()) return imported.error();
    const auto fits = check_input(*imported, task, batch);
    if (fits.has_error()) return fits.error();
    if (imported->graph.parameters().empty()) {
        return fail(FaultCode::Unsupported, "onnx: the model has no parameters to train");
    }
    const auto scores = without_softmax(imported->graph, imported->outputs[0].id);
    const auto shape = imported->graph.shape(scores);
    const auto rows = element_count(shape) / task.classes;
    const bool tokens = task.sample_shape.size() == 1 && rows == batch * task.sample_shape[0];
    const auto labels = tokens && task.labels != 1 ? rows : batch;
    if (shape.empty() || shape.back() != task.classes || rows != labels) {
        return fail(
            FaultCode::BadValue,
            "onnx: the model's scores have the shape " + to_string(shape) + ", the task wants " +
                to_string({batch, task.classes})
        );
    }
    ModelBuilder net(std::move(imported->graph), imported->inputs[0].id, purpose, Shape{labels});
    net.add_statistics(std::move(imported->statistics));
    return net.finish(shape.size() == 2 ? scores : net.reshape(scores, {-1, task.classes}));
}

}  // namespace starling::compute
