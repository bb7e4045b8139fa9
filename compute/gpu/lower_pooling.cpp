// Pools.

#include "compute/gpu/lowering.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/window.hpp"

namespace starling::compute::gpu {

namespace {

PoolShape pool_shape(const Lowering& lowering, const Shape& x, const Shape& y) {
    auto window = *Window::from(lowering.attributes());
    if (lowering.node().op->name == "GlobalAveragePool") window.kernel = {x[2], x[3]};
    const auto small = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
    PoolShape p;
    p.height = small(x[2]);
    p.width = small(x[3]);
    p.out_height = small(y[2]);
    p.out_width = small(y[3]);
    p.kernel_height = small(window.kernel[0]);
    p.kernel_width = small(window.kernel[1]);
    p.stride_height = small(window.strides[0]);
    p.stride_width = small(window.strides[1]);
    p.pad_top = small(window.pad_begin[0]);
    p.pad_left = small(window.pad_begin[1]);
    p.dilation_height = small(window.dilations[0]);
    p.dilation_width = small(window.dilations[1]);
    p.padding_counts = lowering.attributes().integer("count_include_pad", 0) != 0 ? 1 : 0;
    return p;
}

}  // namespace

void lower_max_pool(Lowering& lowering) {
    const auto p =
        pool_shape(lowering, lowering.shape(lowering.input(0)), lowering.shape(lowering.output()));
    const auto count = lowering.count(lowering.output());
    const auto from = lowering.use(lowering.input(0));
    const auto to = lowering.define(lowering.output());
    const auto indices = lowering.define(lowering.output(1));
    lowering.add_flat("max_pool", count, {from, to, indices, block(p), wide(count)});
}

void lower_max_pool_gradient(Lowering& lowering) {
    const auto p =
        pool_shape(lowering, lowering.shape(lowering.output()), lowering.shape(lowering.input(0)));
    const auto count = lowering.count(lowering.output());
    const auto slope = lowering.use(lowering.input(0));
    const auto indices = lowering.use(lowering.input(1));
    const auto to = lowering.define(lowering.output());
    lowering.add_flat("max_pool_gradient", count, {slope, indices, to, block(p), wide(count)});
}

void lower_average_pool(Lowering& lowering) {
    const auto p =
        pool_shape(lowering, lowering.shape(lowering.input(0)), lowering.shape(lowering.output()));
    const auto count = lowering.count(lowering.output());
    const auto from = lowering.use(lowering.input(0));
    const auto to = lowering.define(lowering.output());
    lowering.add_flat("average_pool", count, {from, to, block(p), wide(count)});
}

void lower_average_pool_gradient(Lowering& lowering) {
    const auto p =
        pool_shape(lowering, lowering.shape(lowering.output()), lowering.shape(lowering.input(0)));
    const auto count = lowering.count(lowering.output());
    const auto slope = lowering.use(lowering.input(0));
    const auto to = lowering.define(lowering.output());
    lowering.add_flat("average_pool_gradient", count, {slope, to, block(p), wide(count)});
}

}  // namespace starling::compute::gpu
