#include "compute/models/detector_backbone.hpp"

#include <utility>

#include "compute/models/models.hpp"
#include "compute/onnx/import.hpp"

namespace starling::compute {

namespace {

constexpr std::string_view kFormat = "onnx:";

/// The file comes from a stranger, who may have put any other there.
Result<BackboneMaps> maps_of(const onnx::ImportedModel& model, const Task& task) {
    BackboneMaps maps{};
    bool right = model.outputs.size() == maps.size();
    for (std::size_t i = 0; i < maps.size() && right; ++i) {
        maps[i] = model.outputs[i].id;
        const auto shape = model.graph.shape(maps[i]);
        const auto stride = kBackboneStrides[i];
        right = shape.size() == 4 && shape[2] * stride == task.sample_shape[1] &&
                shape[3] * stride == task.sample_shape[2];
    }
    if (right) return maps;
    return fail(
        FaultCode::BadValue,
        "'detector': the backbone's maps have not a quarter, an eighth and a sixteenth of the "
        "sides of pictures of " +
            to_string(task.sample_shape)
    );
}

}  // namespace

Result<std::string> backbone_file(const Spec& spec) {
    const auto given = spec.text("backbone", "");
    if (spec.name != "detector" || given.empty()) return std::string();
    if (given.starts_with(kFormat) && given.size() > kFormat.size()) {
        return given.substr(kFormat.size());
    }
    return fail(
        FaultCode::Usage,
        "'detector': backbone=" + given + " is not allowed; give a file, as backbone=onnx:net.onnx"
    );
}

Result<Bytes> cut_backbone(ByteView file) {
    return onnx::cut_to_maps(file, kBackboneStrides);
}

Result<Backbone> read_backbone(
    ByteView file, const Task& task, std::int64_t batch, Purpose purpose
) {
    if (file.empty()) {
        return fail(FaultCode::Usage, "'detector': the file that backbone= names is not there");
    }
    auto options = onnx::for_samples(batch, purpose);
    options.sample = task.sample_shape;
    // So that no name of the file is that of a head.
    options.prefix = "backbone.";
    auto imported = onnx::import_onnx(file, options);
    if (imported.has_error()) return imported.error();
    if (imported->inputs.size() != 1 || imported->graph.parameters().empty()) {
        return fail(
            FaultCode::Unsupported, "'detector': the backbone takes no pictures, or learns nothing"
        );
    }
    const auto maps = maps_of(*imported, task);
    if (maps.has_error()) return maps.error();
    const auto tensors = imported->graph.parameters().size();
    Backbone backbone;
    backbone.values = imported->inputs[0].id;
    backbone.maps = *maps;
    backbone.graph = std::move(imported->graph);
    backbone.statistics = std::move(imported->statistics);
    backbone.notes = std::move(imported->notes);
    backbone.notes.push_back(
        "the detector begins with " + std::to_string(tensors) + " tensors of the file"
    );
    return backbone;
}

}  // namespace starling::compute
