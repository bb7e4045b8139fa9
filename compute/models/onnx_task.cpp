// What an ONNX file says of the data that its model takes.

#include "compute/models/models.hpp"
#include "compute/onnx/import.hpp"

namespace starling::compute {

Result<FileTask> onnx_task(ByteView file) {
    onnx::ImportOptions options;
    options.batch = 1;
    options.float_inputs = true;
    const auto imported = onnx::import_onnx(file, options);
    if (imported.has_error()) return imported.error();
    const auto& graph = imported->graph;
    if (imported->inputs.size() != 1 || imported->outputs.empty()) {
        return fail(
            FaultCode::Unsupported,
            "onnx: the model has " + std::to_string(imported->inputs.size()) +
                " inputs; one, for the samples, is supported"
        );
    }
    const auto& input = graph.shape(imported->inputs[0].id);
    const auto& scores = graph.shape(imported->outputs[0].id);
    if (input.size() < 2 || scores.empty() || scores.back() < 1) {
        return fail(
            FaultCode::BadValue,
            "onnx: the model takes " + to_string(input) + " and gives " + to_string(scores) +
                "; a batch of samples and their scores are wanted"
        );
    }
    FileTask found;
    found.task.sample_shape.assign(input.begin() + 1, input.end());
    found.task.classes = scores.back();
    found.task.labels = element_count(scores) / scores.back();
    found.whole_numbers = imported->inputs[0].kind == onnx::Kind::Integer;
    return found;
}

}  // namespace starling::compute
