#pragma once

// What the gradient rules of operators see of the graph.

#include <string_view>
#include <vector>

#include "compute/graph/graph.hpp"

namespace starling::compute {

/// What a gradient rule sees: one node, the gradients of its outputs, and which of its inputs need
/// a gradient.
class GradientContext {
public:
    GradientContext(Graph& graph, Node node, std::vector<ValueId> output_gradients)
        : node_(std::move(node)),
          contributions_(node_.inputs.size(), ValueId::None),
          wanted_(node_.inputs.size(), false),
          graph_(graph),
          output_gradients_(std::move(output_gradients)) {}

    [[nodiscard]] std::string_view op_name() const;

    [[nodiscard]] const Attributes& attributes() const { return node_.attributes; }

    [[nodiscard]] std::size_t input_count() const { return node_.inputs.size(); }

    [[nodiscard]] const TensorType& value_type(ValueId id) const { return graph_.value(id).type; }

    [[nodiscard]] ValueId input(std::size_t i) const {
        return i < node_.inputs.size() ? node_.inputs[i] : ValueId::None;
    }

    [[nodiscard]] ValueId output(std::size_t i) const { return node_.outputs[i]; }

    [[nodiscard]] const Shape& input_shape(std::size_t i) const {
        return graph_.shape(node_.inputs[i]);
    }

    /// Returns None for the root of the differentiation, whose gradient is one.
    [[nodiscard]] ValueId output_gradient(std::size_t i) const { return output_gradients_[i]; }

    /// Returns the output's gradient, or a one for the root.
    [[nodiscard]] ValueId seeded_gradient(std::size_t i);

    /// Returns a scalar.
    [[nodiscard]] ValueId constant(double value);

    [[nodiscard]] bool wants(std::size_t i) const { return i < wanted_.size() && wanted_[i]; }

    std::vector<ValueId> emit(
        std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}
    ) {
        return graph_.emit(op, std::move(inputs), std::move(attributes));
    }

    /// Notes that `gradient` is this node's share of the gradient of its i-th input.
    void contribute(std::size_t i, ValueId gradient) { contributions_[i] = gradient; }

    /// Does the same for an input that was broadcast: sums over the axes along which it was
    /// repeated.
    void contribute_reduced(std::size_t i, ValueId gradient);

private:
    friend class Differentiator;

    Node node_;
    std::vector<ValueId> contributions_;
    std::vector<bool> wanted_;
    Graph& graph_;
    std::vector<ValueId> output_gradients_;
};

}  // namespace starling::compute
