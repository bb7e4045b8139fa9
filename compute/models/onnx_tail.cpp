#include "compute/models/onnx_tail.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute {

namespace {

bool is_one_of(const Node& node, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), node.op->name) != names.end();
}

bool is_view(const Node& node) {
    return is_one_of(node, {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"});
}

/// A graph from results to operands.
class Makers {
public:
    explicit Makers(const Graph& graph) : graph_(graph), makers_(graph.value_count(), nullptr) {
        for (const auto& node : graph.nodes()) {
            for (const auto id : node.outputs) makers_[to_index(id)] = &node;
        }
    }

    /// Returns the node whose first result the value is, else nullptr.
    [[nodiscard]] const Node* of(ValueId id) const {
        const Node* node = id == ValueId::None ? nullptr : makers_[to_index(id)];
        return node != nullptr && node->outputs[0] == id ? node : nullptr;
    }

    /// Returns the number that a constant is.
    [[nodiscard]] std::optional<double> number(ValueId id) const {
        const Node* node = of(id);
        if (node == nullptr || node->op->name != "Constant") return std::nullopt;
        const auto values = node->attributes.reals("value");
        if (values.size() != 1) return std::nullopt;
        return values[0];
    }

    [[nodiscard]] bool is_constant(ValueId id) const {
        const Node* node = of(id);
        return node != nullptr && node->op->name == "Constant";
    }

    [[nodiscard]] const Shape& shape(ValueId id) const { return graph_.shape(id); }

private:
    const Graph& graph_;
    std::vector<const Node*> makers_;
};

constexpr double kSmall = 1e-3;

/// Whether a node changes probabilities, or their logarithms, at most near zero.
bool only_bounds(const Makers& makers, const Node& node, Meaning meaning) {
    if (is_one_of(node, {"Dropout"})) return true;
    if (is_one_of(node, {"Clip"})) {
        const double low = node.attributes.real("min", -1e30);
        const double high = node.attributes.real("max", 1e30);
        const bool logs = meaning == Meaning::LogProbabilities;
        return logs ? low <= -6.0 && high >= -kSmall : low <= kSmall && high >= 1.0 - kSmall;
    }
    if (!is_one_of(node, {"Add", "Max"}) || meaning != Meaning::Probabilities) return false;
    const auto number = makers.number(node.inputs[1]);
    return number && *number >= 0.0 && *number <= kSmall;
}

/// The softmax at the end and the nodes behind it, last node first.
struct Found {
    const Node* softmax = nullptr;
    std::vector<const Node*> behind;
};

Found find_softmax(const Makers& makers, ValueId output) {
    constexpr int kBehindMax = 16;
    Found found;
    for (int i = 0; i < kBehindMax; ++i) {
        const Node* node = makers.of(output);
        if (node == nullptr) return {};
        if (is_one_of(*node, {"Softmax", "LogSoftmax"})) {
            found.softmax = node;
            return found;
        }
        const bool known =
            is_view(*node) || is_one_of(*node, {"Log", "Exp", "Dropout", "Clip", "Add", "Max"});
        if (!known) return {};
        found.behind.push_back(node);
        output = node->inputs[0];
    }
    return {};
}

/// Follows the axis of a softmax through the nodes behind it. Returns false if some node does more
/// than to show the same probabilities in another form, or takes the classes apart.
bool follow(const Makers& makers, const Found& found, std::int64_t classes) {
    auto shape = makers.shape(found.softmax->outputs[0]);
    auto axis = normal_axis(found.softmax->attributes.integer("axis", -1), shape.size());
    auto meaning = found.softmax->op->name == "LogSoftmax" ? Meaning::LogProbabilities
                                                           : Meaning::Probabilities;
    for (auto at = found.behind.rbegin(); at != found.behind.rend(); ++at) {
        const Node& node = **at;
        const auto& next = makers.shape(node.outputs[0]);
        if (node.op->name == "Transpose") {
            const auto order = node.attributes.integers("perm", {});
            const auto rank = static_cast<std::int64_t>(shape.size());
            const auto place = std::find(order.begin(), order.end(), axis) - order.begin();
            axis = order.empty() ? rank - 1 - axis : place;
        } else if (is_view(node)) {
            const auto cut = cut_at(shape, axis);
            std::int64_t outer = 1;
            std::size_t k = 0;
            while (k < next.size() && outer < cut.outer) outer *= next[k++];
            while (k + 1 < next.size() && next[k] == 1 && cut.length != 1) ++k;
            if (outer != cut.outer || k >= next.size() || next[k] != cut.length) return false;
            axis = static_cast<std::int64_t>(k);
        } else if (node.op->name == "Log" && meaning == Meaning::Probabilities) {
            meaning = Meaning::LogProbabilities;
        } else if (node.op->name == "Exp" && meaning == Meaning::LogProbabilities) {
            meaning = Meaning::Probabilities;
        } else if (!only_bounds(makers, node, meaning) || next != shape) {
            return false;
        }
        shape = next;
    }
    const auto cut = cut_at(shape, axis);
    return cut.length == classes && cut.inner == 1;
}

/// Repeats on the scores what the nodes behind the softmax did to the probabilities' form.
ValueId repeat_views(Graph& graph, ValueId scores, const std::vector<Node>& behind) {
    for (auto at = behind.rbegin(); at != behind.rend(); ++at) {
        if (!is_view(*at)) continue;
        auto made = graph.add(at->op->name, {scores}, at->attributes, at->name);
        if (made.has_error()) return ValueId::None;
        scores = (*made)[0];
    }
    return scores;
}

/// Finds out what each value of a graph holds, from the nodes that make it, first node first.
class Meanings {
public:
    explicit Meanings(const Graph& graph) : makers_(graph), known_(graph.value_count()) {
        for (const auto& node : graph.nodes()) known_[to_index(node.outputs[0])] = judge(node);
    }

    struct Known {
        Meaning meaning = Meaning::Scores;
        const Node* because = nullptr;  ///< the node that made the numbers what they are
    };

    [[nodiscard]] const Known& of(ValueId id) const { return known_[to_index(id)]; }

private:
    [[nodiscard]] Known judge(const Node& node) const {
        if (is_one_of(node, {"Softmax", "Sigmoid", "HardSigmoid"}) || is_share(node)) {
            return {Meaning::Probabilities, &node};
        }
        if (is_one_of(node, {"LogSoftmax"})) return {Meaning::LogProbabilities, &node};
        if (is_view(node) || is_one_of(node, {"Dropout", "Clip", "Sqrt"}))
            return of(node.inputs[0]);
        if (is_one_of(node, {"Log", "Exp"})) return judge_inverse(node);
        if (is_one_of(node, {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"})) {
            // A constant shifts and scales probabilities, but makes no scores of them.
            if (makers_.is_constant(node.inputs[1])) return of(node.inputs[0]);
            if (makers_.is_constant(node.inputs[0])) return of(node.inputs[1]);
            return judge_all(node);
        }
        return is_one_of(node, {"Concat"}) ? judge_all(node) : Known{};
    }

    [[nodiscard]] Known judge_inverse(const Node& node) const {
        const bool log = is_one_of(node, {"Log"});
        const auto& known = of(node.inputs[0]);
        const auto from = log ? Meaning::Probabilities : Meaning::LogProbabilities;
        const auto to = log ? Meaning::LogProbabilities : Meaning::Probabilities;
        return known.meaning == from ? Known{to, known.because} : Known{};
    }

    /// Several operands that all are probabilities, as the answers of an ensemble.
    [[nodiscard]] Known judge_all(const Node& node) const {
        const auto& first = of(node.inputs[0]);
        const bool same = std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
            return of(id).meaning == first.meaning;
        });
        return same ? first : Known{};
    }

    /// Whether a node divides numbers by their sum.
    [[nodiscard]] bool is_share(const Node& node) const {
        if (node.op->name != "Div") return false;
        const Node* sum = makers_.of(node.inputs[1]);
        for (int i = 0; i < kViewsMax && sum != nullptr && is_view(*sum); ++i) {
            sum = makers_.of(sum->inputs[0]);
        }
        return sum != nullptr && sum->op->name == "ReduceSum" && sum->inputs[0] == node.inputs[0];
    }

    static constexpr int kViewsMax = 8;

    Makers makers_;
    std::vector<Known> known_;
};

Tail look_at(const Graph& graph, ValueId scores) {
    const Meanings meanings(graph);
    const auto& known = meanings.of(scores);
    if (known.meaning == Meaning::Scores) return {scores, Meaning::Scores, {}, {}, false};
    return {
        scores, known.meaning, known.because->name, std::string(known.because->op->name), false};
}

}  // namespace

Tail cut_softmax(Graph& graph, ValueId output, std::int64_t classes) {
    const Makers makers(graph);
    const auto found = find_softmax(makers, output);
    if (found.softmax == nullptr || !follow(makers, found, classes)) return look_at(graph, output);
    // The nodes move when the graph grows.
    const Node softmax = *found.softmax;
    std::vector<Node> behind;
    for (const auto* node : found.behind) behind.push_back(*node);
    const auto scores = repeat_views(graph, softmax.inputs[0], behind);
    if (scores == ValueId::None) return look_at(graph, output);
    auto tail = look_at(graph, scores);
    if (tail.meaning != Meaning::Scores) return tail;
    return {scores, Meaning::Scores, softmax.name, std::string(softmax.op->name), true};
}

Tail cut_sigmoid(Graph& graph, ValueId output) {
    const Makers makers(graph);
    std::vector<Node> behind;
    auto at = output;
    for (const Node* node = makers.of(at); node != nullptr; node = makers.of(at)) {
        if (node->op->name == "Sigmoid") {
            const Node sigmoid = *node;
            const auto scores = repeat_views(graph, sigmoid.inputs[0], behind);
            if (scores == ValueId::None) break;
            auto tail = look_at(graph, scores);
            if (tail.meaning != Meaning::Scores) return tail;
            return {scores, Meaning::Scores, sigmoid.name, "Sigmoid", true};
        }
        if (!is_view(*node) && !only_bounds(makers, *node, Meaning::Probabilities)) break;
        behind.push_back(*node);
        at = node->inputs[0];
    }
    return look_at(graph, output);
}

}  // namespace starling::compute
