#pragma once

// What the tests of models from files share: the model of a file, its scores, and its training.

#include <memory>
#include <string>
#include <vector>

#include "compute/graph/operator.hpp"
#include "compute/models/models.hpp"
#include "compute/onnx/export.hpp"
#include "compute/training/engine.hpp"
#include "tests/unit/compute/support/onnx_file.hpp"
#include "tests/unit/compute/support/onnx_fixture.hpp"

namespace starling::compute::onnx {

inline std::vector<std::string> operators(const Graph& graph) {
    std::vector<std::string> names;
    for (const auto& node : graph.nodes()) names.emplace_back(node.op->name);
    return names;
}

inline std::vector<std::string> parameter_names(const Graph& graph) {
    std::vector<std::string> names;
    for (const auto& info : graph.parameters()) names.push_back(info.name);
    return names;
}

/// Scores of an untrained file's model while it is evaluated, row by row.
inline std::vector<float> evaluated_scores(
    const Bytes& file,
    const Task& task,
    std::int64_t batch,
    const std::vector<double>& values,
    const std::string& spec = "onnx:a.onnx"
) {
    auto model = build_model(spec, task, batch, Purpose::Inference, file);
    EXPECT_TRUE(model.has_value()) << model.error().message;
    if (model.has_error()) return {};
    ImportedModel whole;
    whole.inputs = {{"values", model->values, Kind::Real}};
    whole.outputs = {{"scores", model->scores, Kind::Real}};
    whole.graph = std::move(model->graph);
    const auto store = store_of(whole.graph);
    auto scores = Runnable(std::move(whole)).run_plan({values}, *store);
    EXPECT_TRUE(scores.has_value()) << scores.error().message;
    return scores.has_value() ? (*scores)[0] : std::vector<float>{};
}

/// A model from a file in training.
struct Trained {
    explicit Trained(Bytes file, Task task, std::size_t batch, std::string spec = "onnx:a.onnx") {
        options.model = std::move(spec);
        options.model_file = std::make_shared<const Bytes>(std::move(file));
        options.task = std::move(task);
        options.batch = static_cast<std::int64_t>(batch);
        options.eval_batch = static_cast<std::int64_t>(batch);
        options.optimizer = *OptimizerSpec::parse("sgd?lr=0.1");
        const auto layout = model_layout(options.model, options.task, *options.model_file);
        EXPECT_TRUE(layout.has_value()) << layout.error().message;
        if (layout.has_error()) return;
        store = std::make_unique<ParameterStore>(*layout);
        store->initialize(Rng(1));
        auto made = Engine::create(options, *store);
        EXPECT_TRUE(made.has_value()) << made.error().message;
        if (made.has_value()) engine = std::move(*made);
    }

    /// The tensor's elements now.
    [[nodiscard]] std::vector<float> tensor(const std::string& name) const {
        std::vector<float> found;
        for (const auto& info : store->layout().parameters()) {
            if (info.name != name) continue;
            store->read_tensor(info, [&](std::span<const float> values) {
                found.assign(values.begin(), values.end());
            });
        }
        return found;
    }

    EngineOptions options;
    std::unique_ptr<ParameterStore> store;
    std::unique_ptr<Engine> engine;
};

/// The file that an export writes of a file's model with its own weights.
inline Result<Bytes> exported(const Bytes& file, const Task& task) {
    ParameterStore store(*model_layout("onnx:a.onnx", task, file));
    store.initialize(Rng(1));
    return export_onnx(
        [&](std::int64_t batch) {
            return build_model("onnx:a.onnx", task, batch, Purpose::Inference, file);
        },
        store
    );
}

/// Random samples in [-1, 1].
inline std::vector<float> random_floats(std::size_t count, std::uint64_t seed = 3) {
    Rng rng(seed);
    std::vector<float> values;
    for (std::size_t i = 0; i < count; ++i) {
        values.push_back(static_cast<float>(2.0 * rng.uniform() - 1.0));
    }
    return values;
}

}  // namespace starling::compute::onnx
