#pragma once

// What the tests of imported models share: files from disk, and one run of an imported graph by the
// plan and by the reference.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <vector>

#include "compute/onnx/import.hpp"
#include "compute/reference/reference.hpp"
#include "tests/unit/compute/support/devices.hpp"

namespace starling::compute::onnx {

using compute::to_string;

inline Bytes read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto bytes = as_byte_view(text);
    return {bytes.begin(), bytes.end()};
}

/// A folder that an environment variable names, else the given one.
inline std::filesystem::path folder(const char* variable, const char* fallback) {
    const char* given = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe) one thread
    return given == nullptr ? fallback : given;
}

/// The real models and data sets that the tests of imported models read where they find them.
inline std::filesystem::path shared_data(const char* name) {
    for (const auto* root : {"../shared/data", "../../shared/data", "../../../shared/data"}) {
        const auto path = std::filesystem::path(STARLING_SOURCE_DIR) / root / name;
        if (std::filesystem::exists(path)) return path;
    }
    return folder("STARLING_SHARED_DATA", "shared-data") / name;
}

/// An imported graph ready to run: results are floats, and none is an operand itself.
struct Runnable {
    explicit Runnable(ImportedModel imported) : model(std::move(imported)) {
        for (const auto& output : model.outputs) {
            auto id = output.id;
            shapes.push_back(model.graph.shape(id));
            if (model.graph.value(id).type.element == ElementType::I32) {
                id = model.graph.emit("Cast", {id}, {{"to", std::string("float")}})[0];
            }
            const auto one =
                model.graph.emit("Constant", {}, {{"value", std::vector<double>{1.0}}});
            id = model.graph.emit("Mul", {id, one[0]})[0];
            outputs.push_back(id);
        }
    }

    /// Values are those of the model's inputs, in order.
    Result<std::vector<std::vector<float>>> run_plan(
        const std::vector<std::vector<double>>& values, ParameterStore& store
    ) {
        auto plan = test_device().compile({model.graph, outputs, {}, 1}, store.layout());
        if (plan.has_error()) return plan.error();
        if (auto poisoned = (*plan)->poison(); !poisoned) return poisoned.error();
        for (std::size_t i = 0; i < model.inputs.size(); ++i) {
            const auto id = model.inputs[i].id;
            if (!reads(id)) continue;
            if (model.graph.value(id).type.element == ElementType::I32) {
                auto to = (*plan)->input_labels(id);
                for (std::size_t k = 0; k < to.size(); ++k) {
                    to[k] = static_cast<std::int32_t>(values[i][k]);
                }
            } else {
                auto to = (*plan)->input_values(id);
                for (std::size_t k = 0; k < to.size(); ++k) {
                    to[k] = static_cast<float>(values[i][k]);
                }
            }
        }
        if (auto packed = (*plan)->pack(store); !packed) return packed.error();
        std::atomic<bool> interrupt{false};
        if (const auto end = (*plan)->run(interrupt); !end) return end.error();
        std::vector<std::vector<float>> results;
        for (const auto id : outputs) {
            const auto span = (*plan)->output(id);
            results.emplace_back(span.begin(), span.end());
        }
        return results;
    }

    Result<std::vector<std::vector<double>>> run_reference(
        const std::vector<std::vector<double>>& values, ParameterStore& store
    ) {
        reference::Tensors tensors;
        for (std::size_t i = 0; i < model.inputs.size(); ++i) {
            const auto id = model.inputs[i].id;
            tensors[id] = {model.graph.shape(id), values[i]};
        }
        for (const auto& info : store.layout().parameters()) {
            for (std::size_t i = 0; i < model.graph.parameters().size(); ++i) {
                if (model.graph.parameters()[i].name != info.name) continue;
                store.read_tensor(info, [&](std::span<const float> tensor) {
                    tensors[model.graph.parameter_value(i)] = {
                        info.shape, std::vector<double>(tensor.begin(), tensor.end())};
                });
            }
        }
        const auto done = reference::evaluate(model.graph, tensors);
        if (done.has_error()) return done.error();
        std::vector<std::vector<double>> results;
        for (const auto id : outputs) results.push_back(tensors.at(id).values);
        return results;
    }

    [[nodiscard]] bool reads(ValueId id) const {
        for (const auto& node : model.graph.nodes()) {
            for (const auto input : node.inputs) {
                if (input == id) return true;
            }
        }
        return false;
    }

    ImportedModel model;
    std::vector<ValueId> outputs;
    std::vector<Shape> shapes;
};

/// A store with the parameters that the file brought.
inline std::unique_ptr<ParameterStore> store_of(const Graph& graph) {
    auto store = std::make_unique<ParameterStore>(ParameterLayout(graph.parameters()));
    store->initialize(Rng(1));
    return store;
}

}  // namespace starling::compute::onnx
