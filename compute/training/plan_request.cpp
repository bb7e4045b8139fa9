#include "compute/training/plan_request.hpp"

#include <utility>

#include "compute/graph/autodiff.hpp"
#include "compute/graph/table_rows.hpp"
#include "compute/models/models.hpp"

namespace starling::compute {

namespace {

ByteView file_of(const EngineOptions& options) {
    return options.model_file == nullptr ? ByteView() : ByteView(*options.model_file);
}

}  // namespace

Result<ParameterLayout> layout_of(const EngineOptions& options) {
    return model_layout(options.model, options.task, file_of(options));
}

Result<ModelRequest> request_model(
    const EngineOptions& options, std::int64_t batch, bool training
) {
    auto model = build_model(
        options.model,
        options.task,
        batch,
        training ? Purpose::Training : Purpose::Inference,
        file_of(options)
    );
    if (model.has_error()) return model.error();
    ModelRequest made;
    made.values = model->values;
    made.labels = model->labels;
    made.loss = model->loss;
    made.answers = model->answers;
    made.answers_each =
        static_cast<std::size_t>(element_count(model->graph.shape(model->labels)) / batch);
    made.table_rows = table_rows(model->graph, model->values);
    made.statistics = model->statistics;
    auto& plan = made.plan;
    plan.threads = options.threads;
    plan.precision = options.precision;
    plan.stopwatch = options.stopwatch;
    plan.outputs = {model->loss};
    for (const auto& statistic : model->statistics) plan.outputs.push_back(statistic.batch);
    if (training) {
        auto gradients = differentiate(model->graph, model->loss);
        if (gradients.has_error()) return gradients.error();
        plan.gradients = std::move(*gradients);
        // A step reads two numbers, and not the answers, of which a text has very many.
        const auto kind = options.task.kind;
        if (kind == LabelKind::Class || kind == LabelKind::Classes) {
            made.hits = model->graph.emit("Score", {model->answers, model->labels})[0];
            plan.outputs.push_back(made.hits);
        }
    } else {
        plan.outputs.push_back(model->answers);
    }
    plan.graph = std::move(model->graph);
    return made;
}

}  // namespace starling::compute
