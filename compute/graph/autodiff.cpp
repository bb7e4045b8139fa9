#include "compute/graph/autodiff.hpp"

#include "base/check.hpp"
#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute {

class Differentiator {
public:
    Differentiator(Graph& graph, ValueId root)
        : graph_(graph),
          root_(root),
          active_(graph.value_count(), false) {
        gradients_.assign(graph.value_count(), ValueId::None);
    }

    Result<std::vector<ValueId>> run() {
        const auto forward = graph_.nodes();
        mark_active(forward);
        for (auto node = forward.rbegin(); node != forward.rend(); ++node) {
            const auto done = visit(*node);
            if (done.has_error()) return done.error();
        }
        std::vector<ValueId> result;
        for (std::size_t i = 0; i < graph_.parameters().size(); ++i) {
            result.push_back(gradients_[to_index(graph_.parameter_value(i))]);
        }
        return result;
    }

private:
    /// A value is active when it depends on a trained parameter. Only active values get a gradient,
    /// so the first layer emits none for the input image.
    void mark_active(const std::vector<Node>& forward) {
        for (std::size_t i = 0; i < graph_.parameters().size(); ++i) {
            active_[to_index(graph_.parameter_value(i))] = !graph_.parameters()[i].buffer;
        }
        for (const auto& node : forward) {
            bool any = false;
            for (const auto id : node.inputs) any = any || is_active(id);
            for (const auto id : node.outputs) active_[to_index(id)] = any;
        }
    }

    [[nodiscard]] bool is_active(ValueId id) const {
        return id != ValueId::None && active_[to_index(id)];
    }

    Result<void> visit(const Node& node) {
        bool reached = false;
        std::vector<ValueId> output_gradients;
        for (const auto id : node.outputs) {
            output_gradients.push_back(gradients_[to_index(id)]);
            reached = reached || id == root_ || output_gradients.back() != ValueId::None;
        }
        GradientContext context(graph_, node, std::move(output_gradients));
        bool wanted = false;
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            context.wanted_[i] = is_active(node.inputs[i]);
            wanted = wanted || context.wanted_[i];
        }
        if (!reached || !wanted) return {};
        if (node.op->gradient == nullptr) {
            return fail(
                FaultCode::Unsupported,
                node.name + ": operator '" + std::string(node.op->name) + "' has no gradient"
            );
        }
        node.op->gradient(context);
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            if (context.wanted_[i]) accumulate(node.inputs[i], context.contributions_[i]);
        }
        return {};
    }

    void accumulate(ValueId id, ValueId gradient) {
        if (gradient == ValueId::None) return;
        STARLING_CHECK(graph_.shape(id) == graph_.shape(gradient));
        auto& total = gradients_[to_index(id)];
        total = total == ValueId::None ? gradient : graph_.emit("Add", {total, gradient})[0];
    }

    Graph& graph_;
    ValueId root_;
    std::vector<bool> active_;
    std::vector<ValueId> gradients_;
};

Result<std::vector<ValueId>> differentiate(Graph& graph, ValueId root) {
    return Differentiator(graph, root).run();
}

}  // namespace starling::compute
