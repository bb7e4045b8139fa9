// Rewrites of an imported graph. Exporters spell out operators that their opset does not have. Each
// rule here recognises one spelling by its last node and replaces that node by the operator. The
// nodes before it remain only if other nodes read them.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "base/check.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"
#include "compute/onnx/finder.hpp"
#include "compute/onnx/importer.hpp"

namespace starling::compute::onnx {

namespace {

/// Matches X * 1, X + 0 and the like, which exporters write for scales that do nothing.
Match match_nothing(const Finder& find, const Node& node) {
    const bool product = is(node, "Mul") || is(node, "Div");
    if (!product && !is(node, "Add") && !is(node, "Sub")) return std::nullopt;
    const auto neutral = [&](ValueId id) {
        const auto found = find.number(id);
        return found.has_value() && *found == (product ? 1.0 : 0.0);
    };
    const auto a = find.input(node, 0);
    const auto b = find.input(node, 1);
    const auto& y = find.shape(node.outputs[0]);
    if (neutral(b) && find.shape(a) == y) return Rewrite{{}, {a}, {}};
    const bool either = is(node, "Mul") || is(node, "Add");
    if (either && neutral(a) && find.shape(b) == y) return Rewrite{{}, {b}, {}};
    return std::nullopt;
}

/// A reshape of a reshape, and one that changes nothing.
Match match_reshape(const Finder& find, const Node& node) {
    if (is(node, "Identity")) return Rewrite{{}, {find.input(node, 0)}, {}};
    if (!is(node, "Reshape")) return std::nullopt;
    auto source = find.input(node, 0);
    bool merged = false;
    for (int i = 0; i < kReshapesMax; ++i) {
        const Node* before = find.made_by(source, "Reshape");
        if (before == nullptr) break;
        source = find.input(*before, 0);
        merged = true;
    }
    const auto& y = find.shape(node.outputs[0]);
    if (find.shape(source) == y) return Rewrite{{}, {source}, {}};
    if (!merged) return std::nullopt;
    return Rewrite{"Reshape", {source}, {{"shape", y}}};
}

/// The factors of a product of up to four.
void collect_factors(const Finder& find, ValueId id, int depth, std::vector<ValueId>& factors) {
    const Node* product = depth > 0 ? find.made_by(id, "Mul") : nullptr;
    if (product == nullptr) {
        factors.push_back(find.resolve(id));
        return;
    }
    collect_factors(find, product->inputs[0], depth - 1, factors);
    collect_factors(find, product->inputs[1], depth - 1, factors);
}

/// Returns the x of 1 + erf(x / sqrt 2).
ValueId match_normal_integral(const Finder& find, ValueId id) {
    const Node* sum = find.made_by(id, "Add");
    if (sum == nullptr) return ValueId::None;
    const Node* erf = nullptr;
    for (const std::size_t i : {0U, 1U}) {
        if (find.is_number(find.input(*sum, 1 - i), 1.0)) {
            erf = find.made_by(find.input(*sum, i), "Erf");
        }
    }
    if (erf == nullptr) return ValueId::None;
    const auto inner = find.input(*erf, 0);
    if (const Node* share = find.made_by(inner, "Div"); share != nullptr) {
        const bool fits = find.is_number(find.input(*share, 1), std::sqrt(2.0));
        return fits ? find.input(*share, 0) : ValueId::None;
    }
    const Node* share = find.made_by(inner, "Mul");
    for (const std::size_t i : {0U, 1U}) {
        if (share != nullptr && find.is_number(find.input(*share, 1 - i), std::sqrt(0.5))) {
            return find.input(*share, i);
        }
    }
    return ValueId::None;
}

/// 1/2 x (1 + erf(x / sqrt 2)), the factors in any order.
/// Source    Hendrycks and Gimpel, "Gaussian Error Linear Units" (arXiv 1606.08415), section 2
Match match_gelu(const Finder& find, const Node& node) {
    if (!is(node, "Mul")) return std::nullopt;
    std::vector<ValueId> factors;
    collect_factors(find, node.outputs[0], 2, factors);
    if (factors.size() != 3) return std::nullopt;
    ValueId x = ValueId::None;
    bool half = false;
    for (const auto factor : factors) {
        if (find.is_number(factor, 0.5)) half = true;
        if (const auto found = match_normal_integral(find, factor); found != ValueId::None) {
            x = found;
        }
    }
    const bool has_x = std::find(factors.begin(), factors.end(), x) != factors.end();
    if (!half || x == ValueId::None || !has_x) return std::nullopt;
    return Rewrite{"Gelu", {x}, {}};
}

/// The operand of a ReduceMean over the last axes, and the first of these axes.
struct MeanOf {
    ValueId x = ValueId::None;
    std::int64_t axis = 0;
};

std::optional<MeanOf> match_mean(const Finder& find, ValueId id) {
    const Node* mean = find.made_by(id, "ReduceMean");
    if (mean == nullptr || mean->attributes.integer("keepdims", 1) == 0) return std::nullopt;
    const auto x = find.input(*mean, 0);
    const auto reduced = reduced_axes(find.shape(x), mean->attributes);
    if (reduced.has_error()) return std::nullopt;
    const auto first = std::find(reduced->begin(), reduced->end(), true);
    if (first == reduced->end() || std::find(first, reduced->end(), false) != reduced->end()) {
        return std::nullopt;
    }
    return MeanOf{x, first - reduced->begin()};
}

/// Returns the x of x - mean(x).
std::optional<MeanOf> match_centred(const Finder& find, ValueId id) {
    const Node* sub = find.made_by(id, "Sub");
    if (sub == nullptr) return std::nullopt;
    const auto mean = match_mean(find, find.input(*sub, 1));
    return mean.has_value() && mean->x == find.input(*sub, 0) ? mean : std::nullopt;
}

bool same_mean(const std::optional<MeanOf>& a, const std::optional<MeanOf>& b) {
    return a.has_value() && b.has_value() && a->x == b->x && a->axis == b->axis;
}

/// Returns the x of sqrt(mean((x - mean x)^2) + epsilon), and writes epsilon.
std::optional<MeanOf> match_deviation(const Finder& find, ValueId id, double& epsilon) {
    const Node* root = find.made_by(id, "Sqrt");
    const Node* sum = root == nullptr ? nullptr : find.made_by(find.input(*root, 0), "Add");
    if (sum == nullptr) return std::nullopt;
    for (const std::size_t i : {0U, 1U}) {
        const auto small = find.number(find.input(*sum, 1 - i));
        const auto spread = match_mean(find, find.input(*sum, i));
        if (!small.has_value() || !spread.has_value()) continue;
        epsilon = *small;
        ValueId centred = ValueId::None;
        if (const Node* power = find.made_by(spread->x, "Pow");
            power != nullptr && find.is_number(find.input(*power, 1), 2.0)) {
            centred = find.input(*power, 0);
        }
        if (const Node* square = find.made_by(spread->x, "Mul");
            square != nullptr && find.input(*square, 0) == find.input(*square, 1)) {
            centred = find.input(*square, 0);
        }
        const auto found = match_centred(find, centred);
        if (found.has_value() && found->axis == spread->axis) return found;
    }
    return std::nullopt;
}

/// (x - mean) / deviation, with scale and bias where they follow.
/// Source    Ba et al., "Layer Normalization" (arXiv 1607.06450), section 3
Match match_normalised(const Finder& find, ValueId id) {
    double epsilon = 0.0;
    std::optional<MeanOf> found;
    if (const Node* share = find.made_by(id, "Div"); share != nullptr) {
        found = match_deviation(find, find.input(*share, 1), epsilon);
        if (!same_mean(found, match_centred(find, find.input(*share, 0)))) found.reset();
    } else if (const Node* product = find.made_by(id, "Mul"); product != nullptr) {
        for (const std::size_t i : {0U, 1U}) {
            const Node* inverse = find.made_by(find.input(*product, 1 - i), "Reciprocal");
            if (inverse == nullptr) continue;
            found = match_deviation(find, find.input(*inverse, 0), epsilon);
            if (!same_mean(found, match_centred(find, find.input(*product, i)))) found.reset();
        }
    }
    if (!found.has_value() || !(epsilon >= 0.0)) return std::nullopt;
    return Rewrite{"LayerNormalization", {found->x}, {{"axis", found->axis}, {"epsilon", epsilon}}};
}

/// Which operand of a node is a normalised value, and the other operand if its shape fits a factor.
Match match_layer_norm(const Finder& find, const Node& node) {
    if (is(node, "Div")) return match_normalised(find, node.outputs[0]);
    const bool scales = is(node, "Mul");
    if (!scales && !is(node, "Add")) return std::nullopt;
    if (scales) {
        if (auto whole = match_normalised(find, node.outputs[0]); whole.has_value()) return whole;
    }
    for (const std::size_t i : {0U, 1U}) {
        const auto value = find.input(node, i);
        const auto factor = find.input(node, 1 - i);
        Match inner;
        if (scales) {
            inner = match_normalised(find, value);
        } else if (const Node* product = find.made_by(value, "Mul"); product != nullptr) {
            inner = match_layer_norm(find, *product);
            if (inner.has_value() && inner->inputs.size() != 2) inner.reset();
        }
        if (!inner.has_value()) continue;
        const auto& x = find.shape(inner->inputs[0]);
        const Shape normalised(x.begin() + inner->attributes.integer("axis", 0), x.end());
        if (find.shape(factor) != normalised) continue;
        inner->inputs.push_back(factor);
        return inner;
    }
    return std::nullopt;
}

constexpr std::array<Match (*)(const Finder&, const Node&), 6> kRules{
    match_nothing, match_reshape, match_gelu, match_layer_norm, match_softmax, match_attention};

/// Returns true when the new node computes as many elements, of the same type, as the old one.
bool fits(const Finder& find, const Rewrite& rewrite, ValueId old) {
    std::vector<TensorType> prepared;
    const auto infer = [&](std::string_view op, const auto& inputs, const Attributes& attributes) {
        std::vector<const TensorType*> types;
        for (const auto id : inputs) {
            const auto step = step_behind(id);
            types.push_back(step.has_value() ? &prepared[*step] : &find.graph().value(id).type);
        }
        return infer_types(*find_operator(op), types, attributes);
    };
    for (const auto& step : rewrite.before) {
        auto made = infer(step.op, step.inputs, step.attributes);
        if (made.has_error()) return false;
        prepared.push_back(std::move(made->front()));
    }
    const auto made = infer(rewrite.op, rewrite.inputs, rewrite.attributes);
    return made.has_value() && made->front().element == find.graph().value(old).type.element &&
           element_count(made->front().shape) == element_count(find.shape(old));
}

/// Copies the nodes that are alive into a new graph, and applies the rewrites.
class Rebuild {
public:
    Rebuild(const Graph& graph, const Finder& find, std::map<std::size_t, Rewrite> rewrites)
        : graph_(graph),
          find_(find),
          rewrites_(std::move(rewrites)),
          alive_(graph.value_count(), false),
          renamed_(graph.value_count(), ValueId::None) {}

    Graph run(std::span<ValueId*> wanted) {
        for (auto* id : wanted) {
            if (*id != ValueId::None) alive_[to_index(find_.resolve(*id))] = true;
        }
        mark();
        copy_sources();
        for (std::size_t i = 0; i < graph_.nodes().size(); ++i) copy(i);
        for (auto* id : wanted) {
            if (*id != ValueId::None) *id = renamed(*id);
        }
        return std::move(made_);
    }

private:
    [[nodiscard]] bool lives(const Node& node) const {
        return std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) {
            return alive_[to_index(id)];
        });
    }

    void mark(const std::vector<ValueId>& operands) {
        for (const auto id : operands) {
            if (id == ValueId::None || step_behind(id).has_value()) continue;
            alive_[to_index(find_.resolve(id))] = true;
        }
    }

    void mark() {
        for (std::size_t i = graph_.nodes().size(); i > 0; --i) {
            if (!lives(graph_.nodes()[i - 1])) continue;
            const auto found = rewrites_.find(i - 1);
            if (found == rewrites_.end()) {
                mark(graph_.nodes()[i - 1].inputs);
                continue;
            }
            mark(found->second.inputs);
            for (const auto& step : found->second.before) mark(step.inputs);
        }
    }

    /// Copies all inputs, and the parameters that are alive in their order.
    void copy_sources() {
        for (std::size_t i = 0; i < graph_.value_count(); ++i) {
            const auto& value = graph_.value(static_cast<ValueId>(i));
            if (value.kind == ValueKind::Input) {
                renamed_[i] = made_.add_input(value.name, value.type);
            } else if (value.kind == ValueKind::Parameter && alive_[i]) {
                renamed_[i] = made_.add_parameter(graph_.parameters()[value.parameter]);
            }
        }
    }

    [[nodiscard]] ValueId renamed(ValueId id) const {
        return id == ValueId::None ? id : renamed_[to_index(find_.resolve(id))];
    }

    std::vector<ValueId> add(
        std::string_view op,
        const std::vector<ValueId>& operands,
        const Attributes& attributes,
        const std::string& name,
        const std::vector<ValueId>& steps = {}
    ) {
        std::vector<ValueId> inputs;
        for (const auto id : operands) {
            const auto step = step_behind(id);
            inputs.push_back(step.has_value() ? steps[*step] : renamed(id));
        }
        auto added = made_.add(op, std::move(inputs), attributes, name);
        // The nodes fitted before, and fits() has tried the new ones.
        STARLING_CHECK(added.has_value());
        return std::move(*added);
    }

    void copy(std::size_t i) {
        const auto& node = graph_.nodes()[i];
        if (!lives(node)) return;
        const auto found = rewrites_.find(i);
        if (found != rewrites_.end()) return replace(node, found->second);
        const auto added = add(node.op->name, node.inputs, node.attributes, node.name);
        for (std::size_t k = 0; k < node.outputs.size(); ++k) {
            renamed_[to_index(node.outputs[k])] = added[k];
        }
    }

    void replace(const Node& node, const Rewrite& rewrite) {
        std::vector<ValueId> steps;
        for (const auto& step : rewrite.before) {
            steps.push_back(add(step.op, step.inputs, step.attributes, node.name, steps)[0]);
        }
        auto made = add(rewrite.op, rewrite.inputs, rewrite.attributes, node.name, steps)[0];
        const auto& wanted = graph_.shape(node.outputs[0]);
        if (made_.shape(made) != wanted) {
            made = made_.emit("Reshape", {made}, {{"shape", wanted}})[0];
        }
        renamed_[to_index(node.outputs[0])] = made;
    }

    const Graph& graph_;
    const Finder& find_;
    std::map<std::size_t, Rewrite> rewrites_;
    std::vector<bool> alive_;
    std::vector<ValueId> renamed_;
    Graph made_;
};

}  // namespace

void recognise_patterns(Graph& graph, std::span<ValueId*> wanted) {
    Finder find(graph);
    std::map<std::size_t, Rewrite> rewrites;
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const auto& node = graph.nodes()[i];
        for (const auto rule : kRules) {
            auto match = rule(find, node);
            if (!match.has_value()) continue;
            if (match->op.empty()) {
                find.set_alias(node.outputs[0], match->inputs[0]);
                break;
            }
            if (!fits(find, *match, node.outputs[0])) continue;
            rewrites.insert_or_assign(i, std::move(*match));
        }
    }
    graph = Rebuild(graph, find, std::move(rewrites)).run(wanted);
}

void drop_unused(Graph& graph, std::span<ValueId*> wanted) {
    const Finder find(graph);
    graph = Rebuild(graph, find, {}).run(wanted);
}

}  // namespace starling::compute::onnx
