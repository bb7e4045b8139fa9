// Rewrites of an imported graph. Exporters spell out operators that their opset does not have; each
// rule here recognises one spelling by its last node and puts the operator that it means in that
// node's place. The nodes before it stay only where somebody else reads them.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "base/check.hpp"
#include "compute/onnx/importer.hpp"
#include "compute/ops/operator.hpp"
#include "compute/ops/view.hpp"

namespace starling::compute::onnx {

namespace {

/// What stands in the place of a node: another node, or, without an operator, a value that is
/// there already. Where the new node's shape differs in its cut only, a Reshape follows.
struct Rewrite {
    std::string_view op;
    std::vector<ValueId> inputs;
    Attributes attributes;
};

using Match = std::optional<Rewrite>;

/// Nobody writes longer rows of reshapes, and a rule looks at each of its nodes in constant time.
constexpr int kReshapesMax = 8;

/// Looks through a graph from results to operands.
class Finder {
public:
    explicit Finder(const Graph& graph)
        : graph_(graph),
          producer_(graph.value_count(), nullptr),
          alias_(graph.value_count()) {
        for (const auto& node : graph.nodes()) {
            for (const auto id : node.outputs) producer_[to_index(id)] = &node;
        }
        for (std::size_t i = 0; i < alias_.size(); ++i) alias_[i] = static_cast<ValueId>(i);
    }

    [[nodiscard]] const Graph& graph() const { return graph_; }

    /// Requires  from is made after to
    void set_alias(ValueId from, ValueId to) { alias_[to_index(from)] = resolve(to); }

    [[nodiscard]] ValueId resolve(ValueId id) const {
        return id == ValueId::None ? id : alias_[to_index(id)];
    }

    [[nodiscard]] ValueId input(const Node& node, std::size_t i) const {
        return i < node.inputs.size() ? resolve(node.inputs[i]) : ValueId::None;
    }

    /// The node whose first result the value is, when it has this operator.
    [[nodiscard]] const Node* made_by(ValueId id, std::string_view op) const {
        if (id == ValueId::None) return nullptr;
        const Node* node = producer_[to_index(resolve(id))];
        const bool fits =
            node != nullptr && node->op->name == op && node->outputs[0] == resolve(id);
        return fits ? node : nullptr;
    }

    /// The one number that all elements of a constant have. Looked at once: a file may read a long
    /// constant in many places.
    [[nodiscard]] std::optional<double> number(ValueId id) const {
        for (int i = 0; i < kReshapesMax; ++i) {
            const Node* before = made_by(id, "Reshape");
            if (before == nullptr) break;
            id = input(*before, 0);
        }
        const Node* node = made_by(id, "Constant");
        if (node == nullptr) return std::nullopt;
        const auto [entry, fresh] = numbers_.try_emplace(resolve(id));
        if (!fresh) return entry->second;
        const auto values = node->attributes.reals("value");
        const bool same =
            !values.empty() &&
            std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
        if (same) entry->second = values[0];
        return entry->second;
    }

    [[nodiscard]] bool is_number(ValueId id, double wanted) const {
        const auto found = number(id);
        return found.has_value() && std::abs(*found - wanted) <= 1e-4 * std::abs(wanted);
    }

    [[nodiscard]] const Shape& shape(ValueId id) const { return graph_.shape(resolve(id)); }

private:
    const Graph& graph_;
    std::vector<const Node*> producer_;
    std::vector<ValueId> alias_;
    mutable std::map<ValueId, std::optional<double>> numbers_;
};

bool is(const Node& node, std::string_view op) {
    return node.op->name == op;
}

/// X * 1, X + 0 and the like: exporters fill in scales that are not there.
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

/// In 1 + erf(x / sqrt 2), the x.
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

/// What a ReduceMean over the last axes folds, and from which axis on.
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

/// In x - mean(x), the x.
std::optional<MeanOf> match_centred(const Finder& find, ValueId id) {
    const Node* sub = find.made_by(id, "Sub");
    if (sub == nullptr) return std::nullopt;
    const auto mean = match_mean(find, find.input(*sub, 1));
    return mean.has_value() && mean->x == find.input(*sub, 0) ? mean : std::nullopt;
}

bool same_mean(const std::optional<MeanOf>& a, const std::optional<MeanOf>& b) {
    return a.has_value() && b.has_value() && a->x == b->x && a->axis == b->axis;
}

/// In sqrt(mean((x - mean x)^2) + epsilon), the x; fills in epsilon.
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

/// The operand of a node that is a normalised value, and the other one when it fits as its factor.
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

/// A third of a value [N,T,3D] as heads [N,H,T,d]: a slice, a reshape and a transpose.
struct Heads {
    ValueId source = ValueId::None;
    std::int64_t begin = 0;
    std::int64_t heads = 0;
};

std::optional<Heads> match_heads(const Finder& find, ValueId id, bool transposed) {
    const Node* turn = find.made_by(id, "Transpose");
    if (turn == nullptr) return std::nullopt;
    auto order = turn->attributes.integers("perm", {});
    if (transposed && order == Ints{0, 1, 3, 2}) return match_heads(find, turn->inputs[0], false);
    if (order != (transposed ? Ints{0, 2, 3, 1} : Ints{0, 2, 1, 3})) return std::nullopt;
    const auto apart = find.input(*turn, 0);
    const Node* cut = find.made_by(apart, "Reshape");
    const Node* part = cut == nullptr ? nullptr : find.made_by(find.input(*cut, 0), "Slice");
    if (part == nullptr || find.shape(apart).size() != 4) return std::nullopt;
    const auto source = find.input(*part, 0);
    const auto& whole = find.shape(source);
    const auto& split = find.shape(apart);
    const auto view = slice_view(whole, part->attributes);
    // The source may be a matrix of tokens; its rows are the same.
    if (view.has_error() || whole.empty() || view->strides != row_major_strides(whole) ||
        split[2] * split[3] * 3 != whole.back() || view->shape.back() != split[2] * split[3] ||
        element_count(view->shape) * 3 != element_count(whole)) {
        return std::nullopt;
    }
    return Heads{source, view->offset, split[2]};
}

/// Whether a constant over the last two axes says: see yourself and those before you.
bool is_causal(const Finder& find, ValueId id, bool (*seen)(double), bool (*hidden)(double)) {
    const Node* mask = find.made_by(id, "Constant");
    if (mask == nullptr) return false;
    const auto& shape = find.shape(id);
    const auto values = mask->attributes.reals("value");
    if (shape.size() < 2 || shape.back() != shape[shape.size() - 2]) return false;
    const auto length = shape.back();
    const auto count = element_count(shape);
    if (count != length * length || static_cast<std::int64_t>(values.size()) != count) return false;
    for (std::int64_t i = 0; i < count; ++i) {
        const bool ahead = i % length > i / length;
        const double value = values[static_cast<std::size_t>(i)];
        if (!(ahead ? hidden(value) : seen(value))) return false;
    }
    return true;
}

bool is_one(double v) {
    return v == 1.0;
}

bool is_zero(double v) {
    return v == 0.0;
}

/// Low enough that its exponential is nothing beside the others'.
bool is_low(double v) {
    return v <= -1e4;
}

/// The scores below a causal mask, in any of its spellings.
ValueId match_mask(const Finder& find, ValueId id) {
    if (const Node* choice = find.made_by(id, "Where"); choice != nullptr) {
        const auto c = find.input(*choice, 0);
        const auto a = find.number(find.input(*choice, 1));
        const auto b = find.number(find.input(*choice, 2));
        if (b.has_value() && is_low(*b) && is_causal(find, c, is_one, is_zero)) {
            return find.input(*choice, 1);
        }
        if (a.has_value() && is_low(*a) && is_causal(find, c, is_zero, is_one)) {
            return find.input(*choice, 2);
        }
    }
    if (const Node* sum = find.made_by(id, "Add"); sum != nullptr) {
        for (const std::size_t i : {0U, 1U}) {
            if (is_causal(find, find.input(*sum, 1 - i), is_zero, is_low)) {
                return find.input(*sum, i);
            }
        }
    }
    return ValueId::None;
}

/// x * factor or x / (1 / factor); the x.
ValueId match_scaled(const Finder& find, ValueId id, double factor) {
    if (const Node* share = find.made_by(id, "Div"); share != nullptr) {
        return find.is_number(find.input(*share, 1), 1.0 / factor) ? find.input(*share, 0)
                                                                   : ValueId::None;
    }
    const Node* product = find.made_by(id, "Mul");
    for (const std::size_t i : {0U, 1U}) {
        if (product != nullptr && find.is_number(find.input(*product, 1 - i), factor)) {
            return find.input(*product, i);
        }
    }
    return ValueId::None;
}

/// softmax(mask(Q K^T / sqrt d)) V with Q, K and V side by side in one value, up to the transpose
/// that brings the heads back beside each other.
/// Source    Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), section 3.2
Match match_attention(const Finder& find, const Node& node) {
    if (!is(node, "Transpose") || node.attributes.integers("perm", {}) != Ints{0, 2, 1, 3}) {
        return std::nullopt;
    }
    const Node* sum = find.made_by(find.input(node, 0), "MatMul");
    const Node* weights = sum == nullptr ? nullptr : find.made_by(find.input(*sum, 0), "Softmax");
    if (weights == nullptr) return std::nullopt;
    const auto axis = weights->attributes.integer("axis", -1);
    const auto v = match_heads(find, find.input(*sum, 1), false);
    if (normal_axis(axis, 4) != 3 || !v.has_value()) return std::nullopt;
    const auto width = find.shape(v->source).back() / 3;
    const double factor = 1.0 / std::sqrt(static_cast<double>(width / v->heads));
    const auto masked = match_mask(find, find.input(*weights, 0));
    if (masked == ValueId::None) return std::nullopt;
    const auto scaled = match_scaled(find, masked, factor);
    const Node* scores = find.made_by(scaled == ValueId::None ? masked : scaled, "MatMul");
    if (scores == nullptr) return std::nullopt;
    auto queries = find.input(*scores, 0);
    if (scaled == ValueId::None) queries = match_scaled(find, queries, factor);
    const auto q = match_heads(find, queries, false);
    const auto k = match_heads(find, find.input(*scores, 1), true);
    const bool together = q.has_value() && k.has_value() && q->source == v->source &&
                          k->source == v->source && q->heads == v->heads && k->heads == v->heads &&
                          q->begin == 0 && k->begin == width && v->begin == 2 * width;
    if (!together || find.shape(v->source).size() != 3) return std::nullopt;
    return Rewrite{"CausalAttention", {v->source}, {{"heads", v->heads}}};
}

constexpr std::array<Match (*)(const Finder&, const Node&), 5> kRules{
    match_nothing, match_reshape, match_gelu, match_layer_norm, match_attention};

/// True when the new node computes a value of the old one's type, up to its cut.
bool fits(const Finder& find, const Rewrite& rewrite, ValueId old) {
    std::vector<const TensorType*> types;
    for (const auto id : rewrite.inputs) types.push_back(&find.graph().value(id).type);
    const auto made = infer_types(*find_operator(rewrite.op), types, rewrite.attributes);
    return made.has_value() && made->front().element == find.graph().value(old).type.element &&
           element_count(made->front().shape) == element_count(find.shape(old));
}

/// Copies what is alive into a new graph, with the rewrites in place.
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

    [[nodiscard]] const std::vector<ValueId>& operands(std::size_t i) const {
        const auto found = rewrites_.find(i);
        return found == rewrites_.end() ? graph_.nodes()[i].inputs : found->second.inputs;
    }

    void mark() {
        for (std::size_t i = graph_.nodes().size(); i > 0; --i) {
            if (!lives(graph_.nodes()[i - 1])) continue;
            for (const auto id : operands(i - 1)) {
                if (id != ValueId::None) alive_[to_index(find_.resolve(id))] = true;
            }
        }
    }

    /// Inputs all stay; parameters in their order.
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

    void copy(std::size_t i) {
        const auto& node = graph_.nodes()[i];
        if (!lives(node)) return;
        std::vector<ValueId> inputs;
        for (const auto id : operands(i)) inputs.push_back(renamed(id));
        const auto found = rewrites_.find(i);
        const bool same = found == rewrites_.end();
        const auto added = made_.add(
            same ? node.op->name : found->second.op,
            std::move(inputs),
            same ? node.attributes : found->second.attributes,
            node.name
        );
        // The nodes fitted before, and fits() has tried the new ones.
        STARLING_CHECK(added.has_value());
        const auto count = std::min(added->size(), same ? node.outputs.size() : 1);
        for (std::size_t k = 0; k < count; ++k) {
            renamed_[to_index(node.outputs[k])] = (*added)[k];
        }
        const auto& wanted = graph_.shape(node.outputs[0]);
        if (made_.shape((*added)[0]) == wanted) return;
        renamed_[to_index(node.outputs[0])] =
            made_.emit("Reshape", {(*added)[0]}, {{"shape", wanted}})[0];
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
