// Batch norm and layer norm.

#include "compute/gpu/lowering.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute::gpu {

namespace {

ChannelShape channel_shape(const Shape& x) {
    const auto cut = cut_at(x, 1);
    return {static_cast<std::int32_t>(cut.outer), static_cast<std::int32_t>(cut.length), cut.inner};
}

Operand epsilon_of(const Lowering& lowering) {
    return real(lowering.attributes().real("epsilon", 1e-5));
}

/// Rows of a layer norm, and their width.
Cut rows_of(const Lowering& lowering, const Shape& x) {
    const auto cut = cut_at(x, normal_axis(lowering.attributes().integer("axis", -1), x.size()));
    return {cut.outer, cut.length * cut.inner, 1};
}

}  // namespace

void lower_batch_norm(Lowering& lowering) {
    const auto p = channel_shape(lowering.shape(lowering.input(0)));
    const auto count = lowering.count(lowering.output());
    const auto from = lowering.use(lowering.input(0));
    const auto scale = lowering.use(lowering.input(1));
    const auto bias = lowering.use(lowering.input(2));
    const bool of_batch = lowering.node().outputs.size() > 1;
    const auto mean =
        of_batch ? lowering.define(lowering.output(1)) : lowering.use(lowering.input(3));
    const auto variance =
        of_batch ? lowering.define(lowering.output(2)) : lowering.use(lowering.input(4));
    if (of_batch) {
        lowering.add_rows("channel_moments", p.channels, {from, mean, variance, block(p)});
    }
    const auto to = lowering.overwrite_or_define(lowering.input(0));
    const bool cut = lowering.attributes().integer("fused_relu", 0) != 0;
    lowering.add_flat(
        "batch_norm",
        count,
        {from,
         scale,
         bias,
         mean,
         variance,
         to,
         block(p),
         wide(count),
         epsilon_of(lowering),
         truth(cut)}
    );
}

void lower_batch_norm_gradient(Lowering& lowering) {
    const auto p = channel_shape(lowering.shape(lowering.input(1)));
    const auto count = lowering.count(lowering.output());
    const auto slope = lowering.use(lowering.input(0));
    const auto from = lowering.use(lowering.input(1));
    const auto scale = lowering.use(lowering.input(2));
    const auto mean = lowering.use(lowering.input(3));
    const auto variance = lowering.use(lowering.input(4));
    const auto dscale = lowering.define(lowering.output(1));
    const auto dbias = lowering.define(lowering.output(2));
    lowering.add_rows(
        "batch_norm_sums",
        p.channels,
        {slope, from, mean, variance, dscale, dbias, block(p), epsilon_of(lowering)}
    );
    const auto to = lowering.overwrite_or_define(lowering.input(0));
    lowering.add_flat(
        "batch_norm_gradient",
        count,
        {slope,
         from,
         scale,
         mean,
         variance,
         dscale,
         dbias,
         to,
         block(p),
         wide(count),
         epsilon_of(lowering)}
    );
}

void lower_layer_norm(Lowering& lowering) {
    const auto cut = rows_of(lowering, lowering.shape(lowering.input(0)));
    const auto from = lowering.use(lowering.input(0));
    const auto scale = lowering.use_optional(lowering.input(1), from);
    const auto bias = lowering.use_optional(lowering.input(2), from);
    const auto to = lowering.define(lowering.output());
    const auto mean = lowering.define(lowering.output(1));
    const auto inverse = lowering.define(lowering.output(2));
    lowering.add_rows(
        "layer_norm",
        cut.outer,
        {from,
         scale,
         bias,
         to,
         mean,
         inverse,
         word(cut.length),
         epsilon_of(lowering),
         truth(lowering.input(1) != ValueId::None),
         truth(lowering.input(2) != ValueId::None)}
    );
}

void lower_layer_norm_gradient(Lowering& lowering) {
    const auto cut = rows_of(lowering, lowering.shape(lowering.input(1)));
    const auto slope = lowering.use(lowering.input(0));
    const auto from = lowering.use(lowering.input(1));
    const auto mean = lowering.use(lowering.input(2));
    const auto inverse = lowering.use(lowering.input(3));
    const auto scale = lowering.use_optional(lowering.input(4), from);
    const auto dscale = lowering.define(lowering.output(1));
    const auto dbias = lowering.define(lowering.output(2));
    lowering.add_rows(
        "layer_norm_sums",
        cut.length,
        {slope, from, mean, inverse, dscale, dbias, word(cut.outer), word(cut.length)}
    );
    const auto to = lowering.define(lowering.output());
    lowering.add_rows(
        "layer_norm_gradient",
        cut.outer,
        {slope,
         from,
         mean,
         inverse,
         scale,
         to,
         word(cut.length),
         truth(lowering.input(4) != ValueId::None)}
    );
}

}  // namespace starling::compute::gpu
