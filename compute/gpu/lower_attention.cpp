// Causal attention.

#include <cmath>

#include "compute/gpu/lowering.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute::gpu {

namespace {

struct Heads {
    AttentionShape shape;
    std::int64_t rows = 0;  ///< tokens of all heads and samples
};

Heads heads_of(const Lowering& lowering, const Shape& qkv) {
    const auto heads = lowering.attributes().integer("heads", 1);
    const auto width = qkv[2] / 3 / heads;
    Heads found;
    found.shape.tokens = static_cast<std::int32_t>(qkv[1]);
    found.shape.heads = static_cast<std::int32_t>(heads);
    found.shape.width = static_cast<std::int32_t>(width);
    found.shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(width)));
    found.rows = qkv[0] * heads * qkv[1];
    return found;
}

}  // namespace

void lower_attention(Lowering& lowering) {
    const auto heads = heads_of(lowering, lowering.shape(lowering.input(0)));
    const auto qkv = lowering.use(lowering.input(0));
    const auto to = lowering.define(lowering.output());
    const auto totals = lowering.define_own(lowering.output(1), heads.rows);
    lowering.add_rows("attention", heads.rows, {qkv, to, totals, block(heads.shape)});
}

void lower_attention_gradient(Lowering& lowering) {
    const auto heads = heads_of(lowering, lowering.shape(lowering.input(1)));
    const auto slope = lowering.use(lowering.input(0));
    const auto qkv = lowering.use(lowering.input(1));
    const auto totals = lowering.use(lowering.input(2));
    const auto sums = lowering.temporary(heads.rows);
    const auto to = lowering.define(lowering.output());
    for (const auto* kernel : {"attention_gradient_query", "attention_gradient_key"}) {
        lowering.add_rows(kernel, heads.rows, {slope, qkv, totals, sums, to, block(heads.shape)});
    }
}

}  // namespace starling::compute::gpu
