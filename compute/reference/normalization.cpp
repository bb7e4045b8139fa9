#include <cmath>

#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"
#include "compute/reference/reference.hpp"
#include "compute/values/dropout.hpp"

namespace starling::compute::reference {

namespace {

/// The row and the weight to which an element of a normalised tensor belongs. In a layer norm, a
/// row is one sample and each of its elements has a weight. In a batch norm, a row is one channel,
/// and each channel has a weight.
struct Place {
    std::size_t row = 0;
    std::size_t weight = 0;
};

using Placing = std::vector<Place>;

Placing layer_places(const Shape& x, const Attributes& attributes) {
    const auto axis = normal_axis(attributes.integer("axis", -1), x.size());
    const auto cut = cut_at(x, axis);
    const auto width = static_cast<std::size_t>(cut.length * cut.inner);
    Placing places;
    for (std::size_t i = 0; i < static_cast<std::size_t>(element_count(x)); ++i) {
        places.push_back({i / width, i % width});
    }
    return places;
}

Placing channel_places(const Shape& x) {
    const auto cut = cut_at(x, 1);
    Placing places;
    for (std::int64_t i = 0; i < element_count(x); ++i) {
        const auto channel = static_cast<std::size_t>(i / cut.inner % cut.length);
        places.push_back({channel, channel});
    }
    return places;
}

void find_moments(
    const std::vector<double>& x,
    const Placing& places,
    std::vector<double>& mean,
    std::vector<double>& variance
) {
    const double share = static_cast<double>(mean.size()) / static_cast<double>(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) mean[places[i].row] += share * x[i];
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double d = x[i] - mean[places[i].row];
        variance[places[i].row] += share * d * d;
    }
}

double weight_of(const Tensor* weights, std::size_t i, double fallback) {
    return weights == nullptr ? fallback : weights->values[i];
}

const Tensor* operand(const Call& call, std::size_t i) {
    return i < call.inputs.size() ? call.inputs[i] : nullptr;
}

void layer_norm(const Call& call) {
    const auto& x = call.inputs[0]->values;
    const auto places = layer_places(call.inputs[0]->shape, call.node.attributes);
    const double epsilon = call.node.attributes.real("epsilon", 1e-5);
    auto& mean = call.outputs[1].values;
    auto& inverse = call.outputs[2].values;
    find_moments(x, places, mean, inverse);
    for (auto& value : inverse) value = 1.0 / std::sqrt(value + epsilon);
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto [row, weight] = places[i];
        call.outputs[0].values[i] =
            (x[i] - mean[row]) * inverse[row] * weight_of(operand(call, 1), weight, 1.0) +
            weight_of(operand(call, 2), weight, 0.0);
    }
}

void batch_norm(const Call& call) {
    const auto& x = call.inputs[0]->values;
    const auto places = channel_places(call.inputs[0]->shape);
    const double epsilon = call.node.attributes.real("epsilon", 1e-5);
    auto mean = call.inputs[3]->values;
    auto variance = call.inputs[4]->values;
    if (call.outputs.size() > 1) {
        find_moments(x, places, call.outputs[1].values, call.outputs[2].values);
        mean = call.outputs[1].values;
        variance = call.outputs[2].values;
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto c = places[i].row;
        call.outputs[0].values[i] =
            (x[i] - mean[c]) / std::sqrt(variance[c] + epsilon) * call.inputs[1]->values[c] +
            call.inputs[2]->values[c];
    }
}

/// With z the normalised value and g = dY * scale: dX = (g - mean g - z mean(g z)) / deviation.
void norm_gradient(
    const Call& call,
    const Placing& places,
    const std::vector<double>& mean,
    const std::vector<double>& inverse,
    const Tensor* scale
) {
    const auto& dy = call.inputs[0]->values;
    const auto& x = call.inputs[1]->values;
    const double share = static_cast<double>(mean.size()) / static_cast<double>(x.size());
    std::vector<double> plain(mean.size(), 0.0);
    std::vector<double> slanted(mean.size(), 0.0);
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto [row, weight] = places[i];
        const double z = (x[i] - mean[row]) * inverse[row];
        const double g = dy[i] * weight_of(scale, weight, 1.0);
        plain[row] += share * g;
        slanted[row] += share * g * z;
        call.outputs[1].values[weight] += dy[i] * z;
        call.outputs[2].values[weight] += dy[i];
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto [row, weight] = places[i];
        const double z = (x[i] - mean[row]) * inverse[row];
        const double g = dy[i] * weight_of(scale, weight, 1.0);
        call.outputs[0].values[i] = (g - plain[row] - z * slanted[row]) * inverse[row];
    }
}

}  // namespace

bool evaluate_normalization(const Call& call) {
    const auto op = call.node.op->name;
    const auto& attributes = call.node.attributes;
    if (op == "LayerNormalization") {
        layer_norm(call);
    } else if (op == "LayerNormalizationGrad") {
        const auto places = layer_places(call.inputs[1]->shape, attributes);
        const auto& inverse = call.inputs[3]->values;
        norm_gradient(call, places, call.inputs[2]->values, inverse, operand(call, 4));
    } else if (op == "BatchNormalization") {
        batch_norm(call);
    } else if (op == "BatchNormalizationGrad") {
        const auto places = channel_places(call.inputs[1]->shape);
        auto inverse = call.inputs[4]->values;
        const double epsilon = attributes.real("epsilon", 1e-5);
        for (auto& value : inverse) value = 1.0 / std::sqrt(value + epsilon);
        norm_gradient(call, places, call.inputs[3]->values, inverse, call.inputs[2]);
    } else if (op == "Dropout") {
        const DropoutMask mask(attributes.integer("seed", 0), attributes.real("ratio", 0.5), 0);
        for (std::size_t i = 0; i < call.outputs[0].values.size(); ++i) {
            const auto factor = static_cast<double>(mask.factor(i));
            call.outputs[1].values[i] = factor;
            call.outputs[0].values[i] = factor * call.inputs[0]->values[i];
        }
    } else {
        return false;
    }
    return true;
}

}  // namespace starling::compute::reference
