// Causal attention as exporters spell it. The middle of all spellings is the same: a product of
// queries and keys, a mask, a softmax, a product with the values. The ways to the operands differ:
// the tokens go through one product or three, and the results are cut, reshaped and transposed in
// some order. The rule goes back through these steps as far as it can, and adds the inverse of the
// others.

#include <array>
#include <cmath>

#include "compute/graph/view.hpp"
#include "compute/onnx/finder.hpp"

namespace starling::compute::onnx {

namespace {

using Ints = std::vector<std::int64_t>;

/// Goes back through products with constants (x * c, c * x, x / c), multiplies their factors, and
/// returns the x behind all of them.
ValueId without_factors(const Finder& find, ValueId id, double& factor) {
    for (int i = 0; i < kReshapesMax; ++i) {
        const Node* share = find.made_by(id, "Div");
        const Node* node = share != nullptr ? share : find.made_by(id, "Mul");
        if (node == nullptr) return id;
        auto x = find.input(*node, 0);
        auto number = find.number(find.input(*node, 1));
        if (!number.has_value() && share == nullptr) {
            x = find.input(*node, 1);
            number = find.number(find.input(*node, 0));
        }
        const bool sound = number.has_value() && std::isfinite(*number) && *number != 0.0;
        if (!sound || find.shape(x) != find.shape(id)) return id;
        factor *= share != nullptr ? 1.0 / *number : *number;
        id = x;
    }
    return id;
}

/// Returns the scores under a causal mask in any of its spellings. The mask's low numbers are
/// multiplied by `factor` later and must then still be low.
ValueId match_mask(const Finder& find, ValueId id, double factor) {
    const auto hides = [&](double value) { return is_low(value * factor); };
    if (const Node* choice = find.made_by(id, "Where"); choice != nullptr) {
        const auto which = find.triangle(find.input(*choice, 0));
        if (!which.has_value()) return ValueId::None;
        const auto a = find.number(find.input(*choice, 1));
        const auto b = find.number(find.input(*choice, 2));
        const bool chosen = which->seen == 1.0 && which->hidden == 0.0;
        const bool left_out = which->seen == 0.0 && which->hidden == 1.0;
        if (chosen && b.has_value() && hides(*b)) return find.input(*choice, 1);
        if (left_out && a.has_value() && hides(*a)) return find.input(*choice, 2);
    }
    if (const Node* sum = find.made_by(id, "Add"); sum != nullptr) {
        for (const std::size_t i : {0U, 1U}) {
            const auto mask = find.triangle(find.input(*sum, 1 - i));
            if (mask.has_value() && mask->seen == 0.0 && hides(mask->hidden)) {
                return find.input(*sum, i);
            }
        }
    }
    const Node* difference = find.made_by(id, "Sub");
    if (difference == nullptr) return ValueId::None;
    const auto mask = find.triangle(find.input(*difference, 1));
    if (!mask.has_value() || mask->seen != 0.0 || !hides(-mask->hidden)) return ValueId::None;
    return find.input(*difference, 0);
}

/// Matches the mask of early GPT-2, which multiplies hidden scores by zero before it makes them
/// low.
/// Requires  hidden scores are low afterwards
ValueId without_zeros(const Finder& find, ValueId id) {
    const Node* product = find.made_by(id, "Mul");
    if (product == nullptr) return id;
    for (const std::size_t i : {0U, 1U}) {
        const auto mask = find.triangle(find.input(*product, 1 - i));
        if (mask.has_value() && mask->seen == 1.0 && mask->hidden == 0.0) {
            return find.input(*product, i);
        }
    }
    return id;
}

/// A value, the order in which its axes are wanted, and the number that it is multiplied by.
struct Turned {
    ValueId value = ValueId::None;
    Ints order;
    double factor = 1.0;
};

/// Follows transposes and factors, in any order, to what they are made of.
Turned untwist(const Finder& find, ValueId id, Ints order) {
    Turned turned{id, std::move(order), 1.0};
    for (int i = 0; i < kReshapesMax; ++i) {
        turned.value = without_factors(find, turned.value, turned.factor);
        const Node* turn = find.made_by(turned.value, "Transpose");
        if (turn == nullptr) break;
        const auto before = turn->attributes.integers("perm", {});
        if (before.size() != turned.order.size()) break;
        for (auto& axis : turned.order) axis = before[static_cast<std::size_t>(axis)];
        turned.value = find.input(*turn, 0);
    }
    return turned;
}

bool in_order(const Ints& order) {
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (order[i] != static_cast<std::int64_t>(i)) return false;
    }
    return true;
}

/// One operand of attention as rows of tokens. When only reshapes lie between, `source` is the
/// value that holds these rows in the file: [N,T,D], or a matrix with the same rows.
struct Rows {
    Turned turned;
    ValueId source = ValueId::None;
};

Rows find_rows(const Finder& find, ValueId id, Ints order) {
    Rows rows{untwist(find, id, std::move(order)), ValueId::None};
    if (!in_order(rows.turned.order)) return rows;
    const Node* apart = find.made_by(rows.turned.value, "Reshape");
    const auto flat = apart == nullptr ? rows.turned.value : find.input(*apart, 0);
    rows.source = without_factors(find, flat, rows.turned.factor);
    return rows;
}

/// Returns where in each row of a value three times as wide the source begins, and that value in
/// `whole`.
std::optional<std::int64_t> match_third(
    const Finder& find, ValueId source, std::int64_t width, ValueId& whole
) {
    const Node* part = find.made_by(source, "Slice");
    if (part == nullptr) return std::nullopt;
    whole = find.input(*part, 0);
    const auto& shape = find.shape(whole);
    const auto view = slice_view(shape, part->attributes);
    if (view.has_error() || shape.empty() || view->strides != row_major_strides(shape) ||
        shape.back() != 3 * width || view->shape.back() != width ||
        element_count(view->shape) * 3 != element_count(shape)) {
        return std::nullopt;
    }
    return view->offset;
}

/// The dimensions of the attention: N samples of T tokens, and H heads of d numbers each. Without
/// an axis for heads, H is one.
struct Sizes {
    std::int64_t samples = 0;
    std::int64_t heads = 1;
    std::int64_t tokens = 0;
    std::int64_t head = 0;

    [[nodiscard]] std::int64_t width() const { return heads * head; }

    [[nodiscard]] Shape rows(std::int64_t parts) const {
        return {samples, tokens, parts * width()};
    }

    static std::optional<Sizes> of(const Shape& q) {
        if (q.size() == 3) return Sizes{q[0], 1, q[1], q[2]};
        if (q.size() == 4) return Sizes{q[0], q[1], q[2], q[3]};
        return std::nullopt;
    }
};

/// Adds the steps that turn an operand into [N,T,D].
ValueId prepare_rows(const Finder& find, const Rows& rows, const Sizes& sizes, Rewrite& made) {
    auto value = rows.source;
    auto shape = value == ValueId::None ? Shape{} : find.shape(value);
    if (value == ValueId::None) {
        value = made.prepare({"Transpose", {rows.turned.value}, {{"perm", rows.turned.order}}});
    }
    if (shape == sizes.rows(1)) return value;
    return made.prepare({"Reshape", {value}, {{"shape", sizes.rows(1)}}});
}

/// The operator itself divides by sqrt d. Any other factor of the file is applied to the queries.
ValueId scaled(ValueId queries, double rest, Rewrite& made) {
    if (std::abs(rest - 1.0) <= 1e-4) return queries;
    const auto number = made.prepare({"Constant", {}, {{"value", std::vector<double>{rest}}}});
    return made.prepare({"Mul", {queries, number}, {}});
}

/// Queries, keys and values.
using Parts = std::array<Rows, 3>;

/// Returns queries, keys and values side by side, [N,T,3D]: the file's own value if it has one,
/// else the three joined.
ValueId prepare_all(
    const Finder& find, const Parts& parts, const Sizes& sizes, double rest, Rewrite& made
) {
    ValueId whole = ValueId::None;
    bool together = std::abs(rest - 1.0) <= 1e-4;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        ValueId here = ValueId::None;
        const auto begin = match_third(find, parts[i].source, sizes.width(), here);
        together = together && begin.has_value() &&
                   *begin == static_cast<std::int64_t>(i) * sizes.width() &&
                   (i == 0 || here == whole);
        whole = here;
    }
    if (together) {
        if (find.shape(whole) == sizes.rows(3)) return whole;
        return made.prepare({"Reshape", {whole}, {{"shape", sizes.rows(3)}}});
    }
    std::vector<ValueId> rows;
    for (const auto& part : parts) rows.push_back(prepare_rows(find, part, sizes, made));
    rows[0] = scaled(rows[0], rest, made);
    return made.prepare({"Concat", std::move(rows), {{"axis", std::int64_t{2}}}});
}

/// softmax(mask(Q K^T c)) V with Q and V as [N,H,T,d] and K^T as [N,H,d,T], or all without H.
struct Spelled {
    ValueId q = ValueId::None;
    ValueId k = ValueId::None;
    ValueId v = ValueId::None;
    double factor = 1.0;
    Sizes sizes;
};

std::optional<Spelled> match_spelled(const Finder& find, const Node& sum) {
    const Node* weights = find.made_by(find.input(sum, 0), "Softmax");
    if (!is(sum, "MatMul") || weights == nullptr) return std::nullopt;
    const auto rank = find.shape(weights->outputs[0]).size();
    const auto last = static_cast<std::int64_t>(rank) - 1;
    if (normal_axis(weights->attributes.integer("axis", -1), rank) != last) return std::nullopt;
    Spelled found;
    const auto hidden = without_factors(find, find.input(*weights, 0), found.factor);
    auto scores = match_mask(find, hidden, found.factor);
    if (scores == ValueId::None) return std::nullopt;
    scores = without_factors(find, without_zeros(find, scores), found.factor);
    const Node* product = find.made_by(scores, "MatMul");
    if (product == nullptr) return std::nullopt;
    found.q = find.input(*product, 0);
    found.k = find.input(*product, 1);
    found.v = find.input(sum, 1);
    const auto sizes = Sizes::of(find.shape(found.q));
    if (!sizes.has_value()) return std::nullopt;
    found.sizes = *sizes;
    auto turned = find.shape(found.q);
    std::swap(turned[turned.size() - 1], turned[turned.size() - 2]);
    const bool fits = find.shape(found.k) == turned && find.shape(found.v) == find.shape(found.q) &&
                      find.shape(scores) == find.shape(weights->outputs[0]);
    if (!fits) return std::nullopt;
    return found;
}

}  // namespace

/// Matches the product with the values together with the transpose behind it that puts the heads
/// side by side, so that no pair of opposite transposes is left.
/// Source    Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), section 3.2
Match match_attention(const Finder& find, const Node& node) {
    const bool behind =
        is(node, "Transpose") && node.attributes.integers("perm", {}) == Ints{0, 2, 1, 3};
    const Node* sum = behind ? find.made_by(find.input(node, 0), "MatMul") : &node;
    if (sum == nullptr) return std::nullopt;
    const auto found = match_spelled(find, *sum);
    if (!found.has_value()) return std::nullopt;
    const auto& sizes = found->sizes;
    const bool apart = find.shape(found->q).size() == 4;
    const Ints beside = apart ? Ints{0, 2, 1, 3} : Ints{0, 1, 2};
    const Ints turned = apart ? Ints{0, 3, 1, 2} : Ints{0, 2, 1};
    const Parts parts{
        find_rows(find, found->q, beside),
        find_rows(find, found->k, turned),
        find_rows(find, found->v, beside)};
    // The operator has no factor for the values.
    if (parts[2].turned.factor != 1.0) return std::nullopt;
    const double factor = found->factor * parts[0].turned.factor * parts[1].turned.factor;
    const double rest = factor * std::sqrt(static_cast<double>(sizes.head));
    if (!std::isfinite(rest) || rest == 0.0) return std::nullopt;
    Rewrite made;
    const auto all = prepare_all(find, parts, sizes, rest, made);
    const Attributes heads{{"heads", sizes.heads}};
    made.op = "CausalAttention";
    made.inputs = {all};
    made.attributes = heads;
    if (behind || !apart) return made;
    const Shape split{sizes.samples, sizes.tokens, sizes.heads, sizes.head};
    const auto mixed = made.prepare({"CausalAttention", {all}, heads});
    const auto cut = made.prepare({"Reshape", {mixed}, {{"shape", split}}});
    made.op = "Transpose";
    made.inputs = {cut};
    made.attributes = {{"perm", beside}};
    return made;
}

}  // namespace starling::compute::onnx
