#include "peer/terms/task.hpp"

#include <algorithm>

namespace starling::peer {

namespace {

constexpr std::size_t kEvaluationSamples = 256;
constexpr std::size_t kEvaluationTokens = 4096;
/// Pictures with boxes are large, and so are the maps that a detector makes of them.
constexpr std::int64_t kEvaluationPictures = 16;

std::size_t samples_within(
    const data::Manifest& manifest, std::size_t samples, std::size_t tokens
) {
    return manifest.is_text() ? std::max<std::size_t>(1, tokens / manifest.sample_elements())
                              : samples;
}

}  // namespace

Result<void> check_learnable(const data::Manifest& manifest) {
    const auto kind = manifest.schema.label.kind;
    if (kind != data::LabelKind::None) return {};
    return fail(
        FaultCode::Usage,
        manifest.name + ": no model here learns samples whose labels are " +
            std::string(data::to_string(kind))
    );
}

compute::Task task_of(const data::Manifest& manifest) {
    compute::Task task;
    const auto shape = manifest.shape();
    task.sample_shape.assign(shape.begin(), shape.end());
    task.classes = manifest.classes();
    const auto& label = manifest.schema.label;
    if (label.kind == data::LabelKind::Classes) task.kind = compute::LabelKind::Classes;
    if (label.kind == data::LabelKind::Numbers) task.kind = compute::LabelKind::Numbers;
    if (label.kind == data::LabelKind::Boxes) {
        task.kind = compute::LabelKind::Boxes;
        task.boxes = data::kBoxesMax;
    }
    task.weights = label.weights;
    if (const auto* table = std::get_if<data::TableRecipe>(&manifest.recipe)) {
        for (const auto& column : table->columns) {
            if (column.kind != data::ColumnRole::Category) continue;
            task.categories.push_back(static_cast<std::int64_t>(column.codes()));
        }
    }
    task.labels = static_cast<std::int64_t>(manifest.labels_per_sample());
    return task;
}

std::int64_t evaluation_batch(const data::Manifest& manifest) {
    if (manifest.schema.label.kind == data::LabelKind::Boxes) return kEvaluationPictures;
    return static_cast<std::int64_t>(samples_within(manifest, kEvaluationSamples, kEvaluationTokens)
    );
}

}  // namespace starling::peer
