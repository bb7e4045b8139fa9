// Operators that keep the elements and their order, and change the shape.

#include <array>

#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute {

namespace {

InferredTypes infer_flatten(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    const auto rank = static_cast<std::int64_t>(x.size());
    auto axis = attributes.integer("axis", 1);
    if (axis < 0) axis += rank;
    if (axis < 0 || axis > rank) {
        return fail(FaultCode::BadValue, "Flatten has no axis to cut " + to_string(x));
    }
    Shape y{1, 1};
    for (std::int64_t i = 0; i < rank; ++i) {
        y[i < axis ? 0 : 1] *= x[static_cast<std::size_t>(i)];
    }
    return std::vector<TensorType>{{y, inputs[0]->element}};
}

InferredTypes infer_reshape(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    Shape y = attributes.integers("shape", {});
    const auto count = element_count(x);
    std::int64_t known = 1;
    std::int64_t* open = nullptr;
    bool good = true;
    for (std::size_t i = 0; i < y.size(); ++i) {
        if (y[i] == 0 && i < x.size()) y[i] = x[i];
        if (y[i] == -1 && open == nullptr) {
            open = &y[i];
        } else if (y[i] < 1 || y[i] > count / known) {
            good = false;
            break;
        } else {
            known *= y[i];
        }
    }
    if (good && open != nullptr) *open = count / known;
    if (!good || element_count(y) != count) {
        return fail(FaultCode::BadValue, to_string(x) + " has no reshape to " + to_string(y));
    }
    return std::vector<TensorType>{{y, inputs[0]->element}};
}

void reshape_gradient(GradientContext& context) {
    const Attributes back{{"shape", context.input_shape(0)}};
    context.contribute(0, context.emit("Reshape", {context.output_gradient(0)}, back)[0]);
}

/// Returns the shape without the axes of length one that `axes` names; without `axes`, it drops all
/// of them.
InferredTypes infer_squeeze(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    const auto named = reduced_axes(x, attributes);
    if (named.has_error()) return named.error();
    const bool all = attributes.integers("axes", {}).empty();
    Shape y;
    for (std::size_t i = 0; i < x.size(); ++i) {
        if ((*named)[i] && x[i] == 1) continue;
        if ((*named)[i] && !all) {
            return fail(FaultCode::BadValue, "Squeeze of an axis longer than one");
        }
        y.push_back(x[i]);
    }
    return std::vector<TensorType>{{y, inputs[0]->element}};
}

InferredTypes infer_unsqueeze(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    const auto axes = attributes.integers("axes", {});
    const auto rank = x.size() + axes.size();
    std::vector<bool> added(rank, false);
    for (const auto given : axes) {
        const auto axis = normal_axis(given, rank);
        if (axis < 0 || added[static_cast<std::size_t>(axis)]) {
            return fail(FaultCode::BadValue, "Unsqueeze has no axis " + std::to_string(given));
        }
        added[static_cast<std::size_t>(axis)] = true;
    }
    Shape y;
    std::size_t next = 0;
    for (std::size_t i = 0; i < rank; ++i) y.push_back(added[i] ? 1 : x[next++]);
    return std::vector<TensorType>{{y, inputs[0]->element}};
}

constexpr std::array<Operator, 4> kReshapingOperators{{
    {"Flatten",
     "X -> matrix; axes before `axis` become rows",
     1,
     1,
     infer_flatten,
     reshape_gradient},
    {"Reshape",
     "X -> same elements in attribute `shape`; 0 keeps a dimension, one -1 is worked out",
     1,
     1,
     infer_reshape,
     reshape_gradient},
    {"Squeeze", "X -> without the ones in `axes`", 1, 1, infer_squeeze, reshape_gradient},
    {"Unsqueeze", "X -> with ones at `axes`", 1, 1, infer_unsqueeze, reshape_gradient},
}};

}  // namespace

std::span<const Operator> reshaping_operators() {
    return kReshapingOperators;
}

}  // namespace starling::compute
