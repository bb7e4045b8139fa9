#include "compute/training/least_memory.hpp"

#include <algorithm>
#include <array>

#include "compute/graph/autodiff.hpp"
#include "compute/graph/operator.hpp"
#include "compute/models/models.hpp"

namespace starling::compute {

namespace {

ByteView file_of(const EngineOptions& options) {
    return options.model_file == nullptr ? ByteView() : ByteView(*options.model_file);
}

std::size_t elements_of(const Graph& graph, ValueId id) {
    return static_cast<std::size_t>(element_count(graph.shape(id)));
}

/// These nodes give their operand another shape; a plan does not copy it.
bool shares_its_operand(const Node& node) {
    constexpr std::array<std::string_view, 5> kViews{
        "Reshape", "Flatten", "Identity", "Squeeze", "Unsqueeze"};
    return std::find(kViews.begin(), kViews.end(), node.op->name) != kViews.end();
}

/// Returns the elements that the first `forward` nodes make and that later nodes read. They are all
/// alive when the loss is known.
std::size_t kept_elements(const Graph& graph, std::size_t forward) {
    std::vector<bool> read(graph.value_count(), false);
    const auto& nodes = graph.nodes();
    for (auto i = forward; i < nodes.size(); ++i) {
        for (const auto id : nodes[i].inputs) {
            if (id != ValueId::None) read[to_index(id)] = true;
        }
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < forward; ++i) {
        if (shares_its_operand(nodes[i])) continue;
        for (const auto id : nodes[i].outputs) {
            if (read[to_index(id)]) kept += elements_of(graph, id);
        }
    }
    return kept;
}

}  // namespace

Result<std::size_t> least_memory(const EngineOptions& options) {
    const auto file = file_of(options);
    auto evaluation =
        build_model(options.model, options.task, options.eval_batch, Purpose::Inference, file);
    if (evaluation.has_error()) return evaluation.error();
    auto training =
        build_model(options.model, options.task, options.batch, Purpose::Training, file);
    if (training.has_error()) return training.error();
    auto& graph = training->graph;
    const auto forward = graph.nodes().size();
    if (auto made = differentiate(graph, training->loss); made.has_error()) return made.error();
    std::size_t parameters = 0;
    for (const auto& info : graph.parameters()) {
        parameters += static_cast<std::size_t>(element_count(info.shape));
    }
    // The store, the gradient, and the optimizer's one or two moments.
    const std::size_t copies = options.optimizer.name == "adamw" ? 4 : 3;
    const auto inputs =
        elements_of(graph, training->values) + elements_of(evaluation->graph, evaluation->values);
    // In bf16 an activation has two bytes.
    return sizeof(float) * (copies * parameters + inputs) + 2 * kept_elements(graph, forward);
}

}  // namespace starling::compute
