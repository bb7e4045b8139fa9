// The spellings of Softmax and LogSoftmax.

#include "compute/graph/view.hpp"
#include "compute/onnx/finder.hpp"

namespace starling::compute::onnx {

namespace {

/// The operand of a softmax and the axis over which it goes.
struct SoftmaxOf {
    ValueId x = ValueId::None;
    std::int64_t axis = 0;
};

/// Looks through nodes that only change the shape.
ValueId bare(const Finder& find, ValueId id) {
    for (int i = 0; i < kReshapesMax; ++i) {
        const Node* node = nullptr;
        for (const auto* op : {"Reshape", "Squeeze", "Unsqueeze", "Identity"}) {
            if (node == nullptr) node = find.made_by(id, op);
        }
        if (node == nullptr) return id;
        id = find.input(*node, 0);
    }
    return id;
}

/// Returns the axis if `id` is the fold `op` of x over one axis, which the result keeps.
std::optional<std::int64_t> folded_axis(
    const Finder& find, ValueId id, std::string_view op, ValueId x
) {
    const Node* fold = find.made_by(bare(find, id), op);
    if (fold == nullptr || find.input(*fold, 0) != find.resolve(x)) return std::nullopt;
    const auto reduced = reduced_axes(find.shape(x), fold->attributes);
    if (reduced.has_error() || std::count(reduced->begin(), reduced->end(), true) != 1) {
        return std::nullopt;
    }
    const auto axis = std::find(reduced->begin(), reduced->end(), true) - reduced->begin();
    auto kept = find.shape(x);
    kept[static_cast<std::size_t>(axis)] = 1;
    return find.shape(id) == kept ? std::optional<std::int64_t>(axis) : std::nullopt;
}

/// Returns the x of x - max x, or the value itself: a softmax is the same for both.
ValueId without_maximum(const Finder& find, ValueId id, std::int64_t axis) {
    const Node* sub = find.made_by(id, "Sub");
    if (sub == nullptr) return id;
    const auto x = find.input(*sub, 0);
    return folded_axis(find, find.input(*sub, 1), "ReduceMax", x) == axis ? x : id;
}

/// Returns the x of `exponential` / sum, where the sum is that of the exponential.
std::optional<SoftmaxOf> match_share(const Finder& find, ValueId exponential, ValueId sum) {
    const Node* exp = find.made_by(exponential, "Exp");
    if (exp == nullptr) return std::nullopt;
    const auto axis = folded_axis(find, sum, "ReduceSum", exponential);
    if (!axis) return std::nullopt;
    return SoftmaxOf{without_maximum(find, find.input(*exp, 0), *axis), *axis};
}

/// exp d / sum exp d, with the quotient as a Div or a Mul.
/// Source    Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs"
///           (1990)
std::optional<SoftmaxOf> match_spelled(const Finder& find, ValueId id) {
    if (const Node* share = find.made_by(id, "Div"); share != nullptr) {
        return match_share(find, find.input(*share, 0), find.input(*share, 1));
    }
    const Node* product = find.made_by(id, "Mul");
    for (const std::size_t i : {0U, 1U}) {
        const Node* inverse =
            product == nullptr ? nullptr : find.made_by(find.input(*product, 1 - i), "Reciprocal");
        if (inverse == nullptr) continue;
        return match_share(find, find.input(*product, i), find.input(*inverse, 0));
    }
    return std::nullopt;
}

std::optional<SoftmaxOf> match_softmax_of(const Finder& find, ValueId id) {
    if (const Node* node = find.made_by(id, "Softmax"); node != nullptr) {
        const auto x = find.input(*node, 0);
        return SoftmaxOf{
            x, normal_axis(node->attributes.integer("axis", -1), find.shape(x).size())};
    }
    return match_spelled(find, id);
}

/// Returns the d of log sum exp d.
std::optional<SoftmaxOf> match_log_sum(const Finder& find, ValueId id) {
    const Node* log = find.made_by(bare(find, id), "Log");
    if (log == nullptr) return std::nullopt;
    const Node* sum = find.made_by(bare(find, find.input(*log, 0)), "ReduceSum");
    const Node* exp = sum == nullptr ? nullptr : find.made_by(find.input(*sum, 0), "Exp");
    if (exp == nullptr) return std::nullopt;
    const auto d = find.input(*exp, 0);
    const auto reduced = reduced_axes(find.shape(d), sum->attributes);
    if (reduced.has_error() || std::count(reduced->begin(), reduced->end(), true) != 1) {
        return std::nullopt;
    }
    return SoftmaxOf{d, std::find(reduced->begin(), reduced->end(), true) - reduced->begin()};
}

/// d - log sum exp d, or x - (log sum exp(x - max x) + max x).
std::optional<SoftmaxOf> match_log_difference(const Finder& find, const Node& node) {
    const auto left = find.input(node, 0);
    const auto right = find.input(node, 1);
    auto kept = find.shape(left);
    auto found = match_log_sum(find, right);
    if (found && found->x == left) {
        kept[static_cast<std::size_t>(found->axis)] = 1;
        if (find.shape(right) != kept) return std::nullopt;
        return SoftmaxOf{without_maximum(find, left, found->axis), found->axis};
    }
    const Node* sum = find.made_by(bare(find, right), "Add");
    for (const std::size_t i : {0U, 1U}) {
        if (sum == nullptr) break;
        found = match_log_sum(find, find.input(*sum, i));
        if (!found || without_maximum(find, found->x, found->axis) != left) continue;
        const Node* most = find.made_by(bare(find, find.input(*sum, 1 - i)), "ReduceMax");
        kept[static_cast<std::size_t>(found->axis)] = 1;
        if (most == nullptr || find.input(*most, 0) != left || find.shape(right) != kept) continue;
        return SoftmaxOf{left, found->axis};
    }
    return std::nullopt;
}

}  // namespace

Match match_softmax(const Finder& find, const Node& node) {
    std::optional<SoftmaxOf> found;
    const char* op = "Softmax";
    if (is(node, "Div") || is(node, "Mul")) found = match_spelled(find, node.outputs[0]);
    if (is(node, "Log") || is(node, "Sub")) {
        op = "LogSoftmax";
        found = is(node, "Log") ? match_softmax_of(find, find.input(node, 0))
                                : match_log_difference(find, node);
    }
    if (!found) return std::nullopt;
    return Rewrite{op, {found->x}, {{"axis", found->axis}}};
}

}  // namespace starling::compute::onnx
