#include "compute/graph/passes.hpp"

#include <algorithm>
#include <vector>

#include "compute/graph/operator.hpp"

namespace starling::compute {

namespace {

constexpr std::size_t kNoNode = static_cast<std::size_t>(-1);

/// The node that makes each value, and the nodes that read it.
struct Uses {
    explicit Uses(const Graph& graph)
        : producer(graph.value_count(), kNoNode),
          readers(graph.value_count(), 0) {
        for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
            for (const auto id : graph.nodes()[i].outputs) producer[to_index(id)] = i;
            for (const auto id : graph.nodes()[i].inputs) {
                if (id != ValueId::None) ++readers[to_index(id)];
            }
        }
    }

    [[nodiscard]] const Node* maker(const Graph& graph, ValueId id) const {
        const auto index = producer[to_index(id)];
        return index == kNoNode ? nullptr : &graph.nodes()[index];
    }

    /// Returns true when exactly one node reads the value and the caller does not.
    [[nodiscard]] bool is_only_reader(ValueId id, std::span<const ValueId> wanted) const {
        return readers[to_index(id)] == 1 &&
               std::find(wanted.begin(), wanted.end(), id) == wanted.end();
    }

    std::vector<std::size_t> producer;
    std::vector<int> readers;
};

/// Keeps the nodes that are not flagged.
void drop(Graph& graph, std::vector<Node> nodes, const std::vector<bool>& dropped) {
    std::vector<Node> kept;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (!dropped[i]) kept.push_back(std::move(nodes[i]));
    }
    graph.replace_nodes(std::move(kept));
}

bool is(const Node* node, std::string_view op) {
    return node != nullptr && node->op->name == op;
}

bool takes_relu(const Graph& graph, const Node& node) {
    if (is(&node, "Add")) return graph.shape(node.inputs[0]) == graph.shape(node.inputs[1]);
    return is(&node, "Conv") || is(&node, "Gemm") || is(&node, "BatchNormalization");
}

/// Returns true when a node between two places reads a result, other than Y, of the norm at the
/// first place.
bool reads_statistics(const std::vector<Node>& nodes, std::size_t norm, std::size_t end) {
    for (std::size_t i = norm + 1; i < end; ++i) {
        for (std::size_t k = 1; k < nodes[norm].outputs.size(); ++k) {
            const auto& inputs = nodes[i].inputs;
            const auto id = nodes[norm].outputs[k];
            if (std::find(inputs.begin(), inputs.end(), id) != inputs.end()) return true;
        }
    }
    return false;
}

const Node* pool_of(const Graph& graph, ValueId indices, const Uses& uses) {
    const Node* pool = uses.maker(graph, indices);
    return is(pool, "MaxPool") && pool->outputs[1] == indices ? pool : nullptr;
}

}  // namespace

void remove_dead_nodes(Graph& graph, std::span<const ValueId> wanted) {
    std::vector<bool> alive(graph.value_count(), false);
    for (const auto id : wanted) {
        if (id != ValueId::None) alive[to_index(id)] = true;
    }
    std::vector<Node> kept;
    const auto& nodes = graph.nodes();
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
        const auto lives = [&](ValueId id) { return alive[to_index(id)]; };
        if (!std::any_of(node->outputs.begin(), node->outputs.end(), lives)) continue;
        for (const auto id : node->inputs) {
            if (id != ValueId::None) alive[to_index(id)] = true;
        }
        kept.push_back(*node);
    }
    std::reverse(kept.begin(), kept.end());
    graph.replace_nodes(std::move(kept));
}

void move_relu_gradient_before_pool(Graph& graph) {
    const Uses uses(graph);
    auto nodes = graph.nodes();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (!is(&nodes[i], "ReluGrad")) continue;
        const auto pool_gradient = nodes[i].inputs[0];
        const auto source = uses.producer[to_index(pool_gradient)];
        if (source == kNoNode || !is(&nodes[source], "MaxPoolGrad")) continue;
        const Node* pool = pool_of(graph, nodes[source].inputs[1], uses);
        const bool fits = pool != nullptr && pool->inputs[0] == nodes[i].inputs[1] &&
                          is(uses.maker(graph, pool->inputs[0]), "Relu") &&
                          uses.readers[to_index(pool_gradient)] == 1;
        if (!fits) continue;
        const auto dy = nodes[source].inputs[0];
        // A new ReluGrad takes the place of the pool's gradient, which moves to the old ReluGrad's.
        const auto mask = graph.emit("ReluGrad", {dy, pool->outputs[0]})[0];
        Node moved = nodes[source];
        moved.inputs[0] = mask;
        moved.outputs = nodes[i].outputs;
        Node made = graph.nodes().back();
        nodes[source] = std::move(made);
        nodes[i] = std::move(moved);
    }
    graph.replace_nodes(std::move(nodes));
}

void fuse_relu(Graph& graph, std::span<const ValueId> wanted) {
    const Uses uses(graph);
    auto nodes = graph.nodes();
    std::vector<bool> dropped(nodes.size(), false);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (!is(&nodes[i], "Relu")) continue;
        const auto x = nodes[i].inputs[0];
        const auto source = uses.producer[to_index(x)];
        if (source == kNoNode || !uses.is_only_reader(x, wanted)) continue;
        if (!takes_relu(graph, nodes[source])) continue;
        nodes[source].attributes.set("fused_relu", std::int64_t{1});
        nodes[source].outputs[0] = nodes[i].outputs[0];
        dropped[i] = true;
    }
    drop(graph, std::move(nodes), dropped);
}

void fuse_relu_gradient(Graph& graph, std::span<const ValueId> wanted) {
    const Uses uses(graph);
    auto nodes = graph.nodes();
    std::vector<bool> dropped(nodes.size(), false);
    for (auto& node : nodes) {
        if (!is(&node, "ReluGrad")) continue;
        const auto source = uses.producer[to_index(node.inputs[0])];
        if (source == kNoNode || !uses.is_only_reader(node.inputs[0], wanted)) continue;
        const auto& slope = nodes[source];
        if (!is(&slope, "Add") || !takes_relu(graph, slope)) continue;
        node.inputs = {slope.inputs[0], node.inputs[1], slope.inputs[1]};
        dropped[source] = true;
    }
    drop(graph, std::move(nodes), dropped);
}

void fuse_shortcut(Graph& graph, std::span<const ValueId> wanted) {
    const Uses uses(graph);
    auto nodes = graph.nodes();
    std::vector<bool> dropped(nodes.size(), false);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (!is(&nodes[i], "Add") || !takes_relu(graph, nodes[i])) continue;
        for (std::size_t k = 0; k < 2; ++k) {
            const auto x = nodes[i].inputs[k];
            const auto source = uses.producer[to_index(x)];
            const bool fits = source != kNoNode && is(&nodes[source], "BatchNormalization") &&
                              uses.is_only_reader(x, wanted) && nodes[source].inputs.size() == 5 &&
                              nodes[source].attributes.integer("fused_relu", 0) == 0 &&
                              !reads_statistics(nodes, source, i);
            if (!fits) continue;
            // The norm moves to the place of the sum, where the shortcut has been computed.
            auto norm = nodes[source];
            norm.inputs.push_back(nodes[i].inputs[1 - k]);
            norm.outputs[0] = nodes[i].outputs[0];
            norm.attributes.set("fused_relu", nodes[i].attributes.integer("fused_relu", 0));
            nodes[i] = std::move(norm);
            dropped[source] = true;
            break;
        }
    }
    drop(graph, std::move(nodes), dropped);
}

void fuse_norm_gradient(Graph& graph, std::span<const ValueId> wanted) {
    const Uses uses(graph);
    auto nodes = graph.nodes();
    std::vector<bool> dropped(nodes.size(), false);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (!is(&nodes[i], "BatchNormalizationGrad") || nodes[i].inputs.size() != 5) continue;
        const auto source = uses.producer[to_index(nodes[i].inputs[0])];
        if (source == kNoNode || !is(&nodes[source], "ReluGrad")) continue;
        const auto& cut = nodes[source];
        // The statistics among its inputs show which norm this is the gradient of.
        const auto* norm = uses.maker(graph, cut.inputs[1]);
        const bool own = is(norm, "BatchNormalization") && norm->outputs.size() > 1 &&
                         norm->outputs[1] == nodes[i].inputs[3] &&
                         norm->attributes.integer("fused_relu", 0) != 0;
        if (!own) continue;
        auto fused = nodes[i];
        fused.inputs.resize(8, ValueId::None);
        fused.inputs[0] = cut.inputs[0];
        // Without a shortcut, the norm of X shows where the Relu cut, and Y need not be read.
        const bool alone = norm->inputs.size() == 5;
        fused.inputs[alone ? 5 : 6] = alone ? norm->inputs[2] : cut.inputs[1];
        if (cut.inputs.size() > 2) fused.inputs[7] = cut.inputs[2];
        if (!uses.is_only_reader(cut.outputs[0], wanted)) fused.outputs.push_back(cut.outputs[0]);
        dropped[i] = true;
        nodes[source] = std::move(fused);
    }
    drop(graph, std::move(nodes), dropped);
}

void optimize(Graph& graph, std::span<const ValueId> wanted) {
    remove_dead_nodes(graph, wanted);
    move_relu_gradient_before_pool(graph);
    fuse_relu(graph, wanted);
    fuse_shortcut(graph, wanted);
    fuse_relu_gradient(graph, wanted);
    fuse_norm_gradient(graph, wanted);
    remove_dead_nodes(graph, wanted);
}

}  // namespace starling::compute
