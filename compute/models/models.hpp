#pragma once

// The named nets: each builds the forward graph of a task for one batch size, with parameter names
// like PyTorch's, so that exported weights load there.

#include <span>
#include <string_view>

#include "base/spec.hpp"
#include "compute/engine.hpp"
#include "compute/graph.hpp"

namespace starling::compute {

/// A forward graph: values [N, sample shape] and labels [N] in, scores, loss and log-probabilities
/// out.
struct Model {
    Graph graph;
    ValueId values = ValueId::None;
    ValueId labels = ValueId::None;
    ValueId loss = ValueId::None;
    ValueId log_probabilities = ValueId::None;
};

/// Writes layers into a graph. The first failure sticks and later calls do nothing, so a builder
/// reads like the net and looks once.
class ModelBuilder {
public:
    ModelBuilder(const Task& task, std::int64_t batch);

    [[nodiscard]] ValueId input() const { return model_.values; }

    [[nodiscard]] const Shape& shape(ValueId id) const { return model_.graph.shape(id); }

    /// Parameters `name.weight` [O,C,k,k] and `name.bias` [O].
    ValueId conv2d(const std::string& name, ValueId x, std::int64_t channels, std::int64_t kernel);
    /// Parameters `name.weight` [O,K] and `name.bias` [O].
    ValueId linear(const std::string& name, ValueId x, std::int64_t features);

    ValueId relu(ValueId x) { return node("Relu", {x}); }

    ValueId flatten(ValueId x) { return node("Flatten", {x}); }

    ValueId max_pool(ValueId x, std::int64_t kernel);

    /// Adds the loss over `scores` and hands out the model.
    [[nodiscard]] Result<Model> finish(ValueId scores);

private:
    ValueId node(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {});
    ValueId parameter(std::string name, Shape shape, std::int64_t fan_in);

    Model model_;
    Result<void> status_;
};

struct NamedModel {
    std::string_view name;
    std::string_view usage;  ///< spec syntax and what it builds, one line
    Result<Model> (*build)(const Spec& spec, const Task& task, std::int64_t batch) = nullptr;
};

[[nodiscard]] std::span<const NamedModel> named_models();

/// Builds the model of a spec.
/// Errors    Usage (unknown model or option), BadValue (a task that the model cannot take)
[[nodiscard]] Result<Model> build_model(
    std::string_view spec, const Task& task, std::int64_t batch
);

/// Reads an option that is a list of whole numbers: `512,256`.
/// Errors    Usage
[[nodiscard]] Result<std::vector<std::int64_t>> integer_list(
    const Spec& spec, std::string_view key, std::string_view fallback
);

/// The nets; each lives in its own file.
[[nodiscard]] Result<Model> build_mlp(const Spec& spec, const Task& task, std::int64_t batch);
[[nodiscard]] Result<Model> build_cnn(const Spec& spec, const Task& task, std::int64_t batch);

}  // namespace starling::compute
