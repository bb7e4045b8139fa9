#include "compute/graph/table_rows.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute {

namespace {

/// The nodes from an input to a value, last node first.
using Path = std::vector<const Node*>;

bool keeps_order(std::string_view op) {
    constexpr std::array<std::string_view, 6> kNames{
        "Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"};
    return std::find(kNames.begin(), kNames.end(), op) != kNames.end();
}

bool is_view(std::string_view op) {
    return op == "Expand" || op == "Slice" || op == "Transpose";
}

/// Goes from a value back to the input. Returns false if another operator stands between.
bool find_path(const std::vector<const Node*>& makers, ValueId input, ValueId value, Path& path) {
    while (value != input) {
        const Node* node = value == ValueId::None ? nullptr : makers[to_index(value)];
        if (node == nullptr || !(keeps_order(node->op->name) || is_view(node->op->name))) {
            return false;
        }
        path.push_back(node);
        value = node->inputs[0];
    }
    return true;
}

View view_of(const Node& node, const Shape& x) {
    if (node.op->name == "Transpose") return *transpose_view(x, node.attributes);
    if (node.op->name == "Expand") return *expand_view(x, node.attributes);
    return *slice_view(x, node.attributes);
}

/// Reads a row-major tensor through a view.
std::vector<std::int32_t> read(const std::vector<std::int32_t>& x, const View& view) {
    std::vector<std::int32_t> y;
    const auto count = element_count(view.shape);
    y.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
        std::int64_t at = view.offset;
        auto rest = i;
        for (auto axis = view.shape.size(); axis-- > 0;) {
            at += rest % view.shape[axis] * view.strides[axis];
            rest /= view.shape[axis];
        }
        y.push_back(x[static_cast<std::size_t>(at)]);
    }
    return y;
}

/// Returns which element of a sample each element at the end of the path is.
std::vector<std::int32_t> follow(const Graph& graph, ValueId input, const Path& path) {
    const auto& shape = graph.shape(input);
    const auto each = element_count(shape) / shape[0];
    std::vector<std::int32_t> elements;
    for (std::int64_t i = 0; i < element_count(shape); ++i) {
        elements.push_back(static_cast<std::int32_t>(i % each));
    }
    for (auto at = path.rbegin(); at != path.rend(); ++at) {
        const Node& node = **at;
        if (!is_view(node.op->name)) continue;
        elements = read(elements, view_of(node, graph.shape(node.inputs[0])));
    }
    return elements;
}

}  // namespace

std::vector<std::int64_t> table_rows(const Graph& graph, ValueId input) {
    std::vector<const Node*> makers(graph.value_count(), nullptr);
    for (const auto& node : graph.nodes()) {
        for (const auto id : node.outputs) makers[to_index(id)] = &node;
    }
    std::vector<std::int64_t> rows;
    for (const auto& node : graph.nodes()) {
        Path path;
        if (node.op->name != "Gather" || !find_path(makers, input, node.inputs[1], path)) continue;
        const auto& table = graph.shape(node.inputs[0]);
        const auto axis = normal_axis(node.attributes.integer("axis", 0), table.size());
        const auto length = table[static_cast<std::size_t>(axis)];
        const auto& shape = graph.shape(input);
        rows.resize(static_cast<std::size_t>(element_count(shape) / shape[0]), 0);
        for (const auto element : follow(graph, input, path)) {
            auto& known = rows[static_cast<std::size_t>(element)];
            known = known == 0 ? length : std::min(known, length);
        }
    }
    return rows;
}

}  // namespace starling::compute
