#include <algorithm>
#include <cmath>
#include <limits>

#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

namespace {

/// For each element of x the index of the output element into which it is folded.
std::vector<std::size_t> targets(const Shape& x, const Attributes& attributes) {
    Shape kept = x;
    const auto reduced = *reduced_axes(x, attributes);
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (reduced[i]) kept[i] = 1;
    }
    const auto view = broadcast_view(kept, x);
    std::vector<std::size_t> found;
    for (std::int64_t i = 0; i < element_count(x); ++i) {
        found.push_back(static_cast<std::size_t>(view_index(view, i)));
    }
    return found;
}

void reduce(const Call& call) {
    const auto op = call.node.op->name;
    const auto& x = *call.inputs[0];
    auto& y = call.outputs[0].values;
    const auto to = targets(x.shape, call.node.attributes);
    if (op == "ReduceMax") std::fill(y.begin(), y.end(), -std::numeric_limits<double>::infinity());
    for (std::size_t i = 0; i < to.size(); ++i) {
        y[to[i]] = op == "ReduceMax" ? std::max(y[to[i]], x.values[i]) : y[to[i]] + x.values[i];
    }
    if (op != "ReduceMean") return;
    for (auto& value : y) value *= static_cast<double>(y.size()) / static_cast<double>(to.size());
}

/// Calls visit(indices of one row) for each row along the softmax axis.
template <class Visit>
void for_each_row(const Call& call, const Visit& visit) {
    const auto& shape = call.outputs[0].shape;
    const auto axis = normal_axis(call.node.attributes.integer("axis", -1), shape.size());
    const auto cut = cut_at(shape, axis);
    for (std::int64_t r = 0; r < cut.outer * cut.inner; ++r) {
        std::vector<std::size_t> row;
        for (std::int64_t i = 0; i < cut.length; ++i) {
            const auto outer = r / cut.inner * cut.length + i;
            row.push_back(static_cast<std::size_t>(outer * cut.inner + r % cut.inner));
        }
        visit(row);
    }
}

void softmax(const Call& call) {
    const bool logarithm = call.node.op->name == "LogSoftmax";
    const auto& x = call.inputs[0]->values;
    auto& y = call.outputs[0].values;
    for_each_row(call, [&](const std::vector<std::size_t>& row) {
        double top = x[row[0]];
        for (const auto i : row) top = std::max(top, x[i]);
        double sum = 0.0;
        for (const auto i : row) sum += std::exp(x[i] - top);
        for (const auto i : row) {
            y[i] = logarithm ? x[i] - top - std::log(sum) : std::exp(x[i] - top) / sum;
        }
    });
}

void softmax_gradient(const Call& call) {
    const bool logarithm = call.node.op->name == "LogSoftmaxGrad";
    const auto& dy = call.inputs[0]->values;
    const auto& y = call.inputs[1]->values;
    auto& dx = call.outputs[0].values;
    for_each_row(call, [&](const std::vector<std::size_t>& row) {
        double sum = 0.0;
        for (const auto i : row) sum += logarithm ? dy[i] : dy[i] * y[i];
        for (const auto i : row) {
            dx[i] = logarithm ? dy[i] - std::exp(y[i]) * sum : y[i] * (dy[i] - sum);
        }
    });
}

}  // namespace

bool evaluate_reduction(const Call& call) {
    const auto op = call.node.op->name;
    if (op == "ReduceSum" || op == "ReduceMean" || op == "ReduceMax") {
        reduce(call);
    } else if (op == "Softmax" || op == "LogSoftmax") {
        softmax(call);
    } else if (op == "SoftmaxGrad" || op == "LogSoftmaxGrad") {
        softmax_gradient(call);
    } else {
        return false;
    }
    return true;
}

}  // namespace starling::compute::reference
