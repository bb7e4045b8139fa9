// Causal self-attention as one operator.

#include <array>

#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute {

namespace {

/// Queries, keys and values of all heads lie side by side in one row per token, as the single
/// matrix product before attention writes them. So no transposes are needed: each head reads with a
/// stride.
InferredTypes infer_attention(OperandTypes inputs, const Attributes& attributes) {
    const auto& x = inputs[0]->shape;
    const auto heads = attributes.integer("heads", 1);
    if (x.size() != 3 || heads < 1 || heads > x[2] || x[2] % (3 * heads) != 0) {
        return fail(
            FaultCode::BadValue,
            "attention wants [N, T, 3 D] with D a multiple of heads, not " + to_string(x)
        );
    }
    return std::vector<TensorType>{{{x[0], x[1], x[2] / 3}}, {{x[0], heads, x[1], x[1]}}};
}

void attention_gradient(GradientContext& context) {
    context.contribute(
        0,
        context.emit(
            "CausalAttentionGrad",
            {context.output_gradient(0), context.input(0), context.output(1)},
            context.attributes()
        )[0]
    );
}

InferredTypes infer_attention_grad(OperandTypes inputs, const Attributes&) {
    return std::vector<TensorType>{*inputs[1]};
}

constexpr std::array<Operator, 2> kAttentionOperators{{
    {"CausalAttention",
     "QKV [N,T,3D] -> Y [N,T,D], weights [N,heads,T,T]: softmax(Q K^T / sqrt(D / heads)) V, where "
     "a token sees itself and those before it; only the gradient reads the weights, and a device "
     "may "
     "keep something smaller in their place",
     1,
     1,
     infer_attention,
     attention_gradient},
    {"CausalAttentionGrad",
     "dY, QKV, weights or what is kept -> dQKV",
     3,
     3,
     infer_attention_grad,
     nullptr},
}};

}  // namespace

std::span<const Operator> attention_operators() {
    return kAttentionOperators;
}

}  // namespace starling::compute
