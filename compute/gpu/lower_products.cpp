// Products of matrices, and convolutions.

#include <algorithm>
#include <optional>
#include <utility>

#include "compute/gpu/lowering.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/window.hpp"

namespace starling::compute::gpu {

namespace {

std::int32_t small(std::int64_t value) {
    return static_cast<std::int32_t>(value);
}

std::size_t tiles(std::int64_t elements) {
    return (static_cast<std::size_t>(elements) + kTile - 1) / kTile;
}

Grid tile_grid(std::int64_t rows, std::int64_t columns, std::int64_t batches) {
    return {
        {tiles(columns), tiles(rows), static_cast<std::size_t>(batches)},
        {kTileSide, kTileSide, 1}};
}

bool cuts(const Lowering& lowering) {
    return lowering.attributes().integer("fused_relu", 0) != 0;
}

/// A matrix as a factor sees it: rows and columns after its axes were swapped, and their strides.
struct Factor {
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::int64_t row_stride = 0;
    std::int64_t column_stride = 1;
};

Factor factor_of(const Shape& shape, bool swapped) {
    const auto rows = shape[shape.size() - 2];
    const auto columns = shape.back();
    if (swapped) return {columns, rows, 1, columns};
    return {rows, columns, columns, 1};
}

/// Returns where the matrices of each batch of y begin in an operand, whose leading axes are
/// broadcast.
KernelView batches_of(const Shape& x, const Shape& y) {
    const Shape lead(y.begin(), y.end() - 2);
    auto view = broadcast_view(Shape(x.begin(), x.end() - 2), lead);
    for (auto& stride : view.strides) stride *= x[x.size() - 2] * x.back();
    return kernel_view(view);
}

/// Returns the product as a library takes it, if it does.
std::optional<LibraryShape> library_shape(
    const Lowering& lowering, const ProductShape& p, std::int64_t batches
) {
    const auto& y = lowering.shape(lowering.output());
    const auto a = batches_of(lowering.shape(lowering.input(0)), y);
    const auto b = batches_of(lowering.shape(lowering.input(1)), y);
    if (lowering.rounds() || a.rank > 1 || b.rank > 1) return std::nullopt;
    LibraryShape shape;
    shape.rows = p.rows;
    shape.columns = p.columns;
    shape.depth = p.depth;
    shape.batches = batches;
    shape.a_turned = lowering.attributes().integer("transA", 0) != 0;
    shape.b_turned = lowering.attributes().integer("transB", 0) != 0;
    shape.a_step = a.rank == 0 ? 0 : a.strides[0];
    shape.b_step = b.rank == 0 ? 0 : b.strides[0];
    shape.biased = p.biased != 0;
    shape.cut = p.cut != 0;
    // Many matrices times one are one long matrix times that.
    const bool joins = !shape.a_turned && shape.b_step == 0 && shape.a_step == p.rows * p.depth;
    if (batches > 1 && joins) {
        shape.rows *= batches;
        shape.batches = 1;
        shape.a_step = 0;
    }
    return shape;
}

void add_product(Lowering& lowering) {
    const auto a = factor_of(
        lowering.shape(lowering.input(0)), lowering.attributes().integer("transA", 0) != 0
    );
    const auto b = factor_of(
        lowering.shape(lowering.input(1)), lowering.attributes().integer("transB", 0) != 0
    );
    const auto& y = lowering.shape(lowering.output());
    ProductShape p;
    p.rows = small(a.rows);
    p.columns = small(b.columns);
    p.depth = small(a.columns);
    p.a_row = small(a.row_stride);
    p.a_depth = small(a.column_stride);
    p.b_depth = small(b.row_stride);
    p.b_column = small(b.column_stride);
    p.biased = lowering.input(2) == ValueId::None ? 0 : 1;
    p.cut = cuts(lowering) ? 1 : 0;
    const auto left = lowering.use(lowering.input(0));
    const auto right = lowering.use(lowering.input(1));
    const auto bias = lowering.use_optional(lowering.input(2), left);
    const auto batches = lowering.count(lowering.output()) / (a.rows * b.columns);
    lowering.add(
        lowering.rounds() ? "product_bf16" : "product",
        tile_grid(a.rows, b.columns, batches),
        {left,
         right,
         bias,
         lowering.define(lowering.output()),
         block(batches_of(lowering.shape(lowering.input(0)), y)),
         block(batches_of(lowering.shape(lowering.input(1)), y)),
         block(p)}
    );
    if (const auto shape = library_shape(lowering, p, batches)) lowering.offer_last(*shape);
}

ConvolutionShape convolution_shape(
    const Lowering& lowering, const Shape& x, const Shape& w, const Shape& y
) {
    const auto window = *Window::from(lowering.attributes());
    ConvolutionShape p;
    const auto groups = x[1] / w[1];
    p.batch = small(x[0]);
    p.channels = small(w[1]);
    p.height = small(x[2]);
    p.width = small(x[3]);
    p.outputs = small(w[0] / groups);
    p.out_height = small(y[2]);
    p.out_width = small(y[3]);
    p.groups = small(groups);
    p.kernel_height = small(w[2]);
    p.kernel_width = small(w[3]);
    p.stride_height = small(window.strides[0]);
    p.stride_width = small(window.strides[1]);
    p.pad_top = small(window.pad_begin[0]);
    p.pad_left = small(window.pad_begin[1]);
    p.dilation_height = small(window.dilations[0]);
    p.dilation_width = small(window.dilations[1]);
    return p;
}

}  // namespace

void lower_gemm(Lowering& lowering) {
    add_product(lowering);
}

void lower_matmul(Lowering& lowering) {
    add_product(lowering);
}

void lower_convolution(Lowering& lowering) {
    const auto& x = lowering.shape(lowering.input(0));
    const auto& w = lowering.shape(lowering.input(1));
    const auto& y = lowering.shape(lowering.output());
    auto p = convolution_shape(lowering, x, w, y);
    p.biased = lowering.input(2) == ValueId::None ? 0 : 1;
    p.cut = cuts(lowering) ? 1 : 0;
    const auto from = lowering.use(lowering.input(0));
    const auto weights = lowering.use(lowering.input(1));
    const auto bias = lowering.use_optional(lowering.input(2), from);
    lowering.add(
        lowering.rounds() ? "convolution_bf16" : "convolution",
        tile_grid(p.outputs, y[0] * y[2] * y[3], p.groups),
        {from, weights, bias, lowering.define(lowering.output()), block(p)}
    );
}

void lower_convolution_gradient_input(Lowering& lowering) {
    const auto& y = lowering.shape(lowering.input(0));
    const auto& w = lowering.shape(lowering.input(1));
    const auto& x = lowering.shape(lowering.output());
    const auto p = convolution_shape(lowering, x, w, y);
    const auto slope = lowering.use(lowering.input(0));
    const auto weights = lowering.use(lowering.input(1));
    lowering.add(
        lowering.rounds() ? "convolution_gradient_input_bf16" : "convolution_gradient_input",
        tile_grid(p.channels, x[0] * x[2] * x[3], p.groups),
        {slope, weights, lowering.define(lowering.output()), block(p)}
    );
}

/// The sum over samples and places is long and its results are few: parts of it go to different
/// groups of threads, and a second pass adds them up.
void lower_convolution_gradient_weight(Lowering& lowering) {
    constexpr std::int64_t kPartLeast = 1024;
    constexpr std::int64_t kPartsMost = 64;
    const auto& y = lowering.shape(lowering.input(0));
    const auto& x = lowering.shape(lowering.input(1));
    const auto& w = lowering.shape(lowering.output());
    const auto p = convolution_shape(lowering, x, w, y);
    const auto places = y[0] * y[2] * y[3];
    const auto taps = w[1] * w[2] * w[3];
    const auto parts = std::clamp<std::int64_t>(places / kPartLeast, 1, kPartsMost);
    const auto slope = lowering.use(lowering.input(0));
    const auto from = lowering.use(lowering.input(1));
    const auto to = lowering.define(lowering.output());
    const auto count = element_count(w);
    const auto sums = parts == 1 ? to : lowering.temporary(parts * count);
    lowering.add(
        lowering.rounds() ? "convolution_gradient_weight_bf16" : "convolution_gradient_weight",
        tile_grid(p.outputs, taps, p.groups * parts),
        {slope, from, sums, block(p), word(parts)}
    );
    if (parts > 1) {
        lowering.add_flat(
            "reduce_each",
            count,
            {sums,
             to,
             block(kernel_view({{count}, {1}, 0})),
             block(kernel_view({{parts}, {count}, 0})),
             wide(count),
             wide(parts),
             word(0)}
        );
    }
    if (!lowering.is_read(1)) return;
    const auto area = y[2] * y[3];
    lowering.add_rows(
        "reduce_group",
        y[1],
        {slope,
         lowering.define(lowering.output(1)),
         block(kernel_view({{y[1]}, {area}, 0})),
         block(kernel_view({{y[0], area}, {y[1] * area, 1}, 0})),
         wide(y[0] * area),
         word(0)}
    );
}

}  // namespace starling::compute::gpu
