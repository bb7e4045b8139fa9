#pragma once

// All of oneDNN that the plan uses, behind plain functions. Versions 2 and 3 describe a primitive
// in different ways; only onednn.cpp knows this difference.
//
// A `Compiled` holds the layouts that the library wants for its operands: where we give
// `format_tag::any`, the library chooses. The lowering then inserts a reorder wherever producer and
// consumer of a value want different layouts.
//
// Errors    every function throws dnnl::error when the library refuses; compile_cpu_plan catches it
// Thread    compute

#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

#include "compute/graph/window.hpp"
#include "compute/values/shape.hpp"

namespace starling::compute::cpu {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;

struct ArgumentDesc {
    int argument = 0;  ///< DNNL_ARG_*
    Desc desc;
};

struct Compiled {
    dnnl::primitive primitive;
    std::vector<ArgumentDesc> arguments;
    std::string implementation;

    /// Requires  the primitive has the argument
    [[nodiscard]] const Desc& desc(int argument) const;
    [[nodiscard]] bool has(int argument) const;
};

[[nodiscard]] const dnnl::engine& cpu_engine();

/// Returns the row-major layout of a shape; a scalar becomes one element.
[[nodiscard]] Desc plain(const Shape& shape, ElementType element = ElementType::F32);
[[nodiscard]] Desc any_layout(const Shape& shape);
/// Return the same layout with elements of two bytes, or of four.
/// Requires  format_tag::any, a strided layout, or one with a block of channels
[[nodiscard]] Desc in_bf16(const Desc& desc);
[[nodiscard]] Desc in_f32(const Desc& desc);
[[nodiscard]] bool is_bf16(const Desc& desc);
/// Returns a matrix of rows x columns whose element (r, c) lies at r * row + c * column.
[[nodiscard]] Desc strided(
    std::int64_t rows, std::int64_t columns, std::int64_t row, std::int64_t column
);
[[nodiscard]] Desc strided(const Shape& shape, const std::vector<std::int64_t>& strides);
/// Returns how many channels of an image lie side by side: 1 for row-major, 8 or 16 for blocked
/// layouts, all of them where channels come last; 0 for any other layout. The elements may have any
/// type.
[[nodiscard]] std::int64_t channel_block(const Desc& desc);
/// Returns the layout of an image of which `block` channels lie side by side.
/// Requires  block is 1, 8, 16, or the number of channels
[[nodiscard]] Desc image_layout(const Shape& shape, std::int64_t block);
/// Returns true when so many channels are exactly one block of a blocked layout, without padding.
[[nodiscard]] bool fills_block(std::int64_t channels);
/// Returns one description for all layouts that mean the same bytes. With as many channels as a
/// block holds, the blocked layout and the one with channels last are the same; this returns the
/// blocked one.
[[nodiscard]] Desc canonical(const Desc& desc);
[[nodiscard]] Dims dims_of(const Desc& desc);
/// Return the bytes, and the elements, of a layout with its padding.
[[nodiscard]] std::size_t byte_count(const Desc& desc);
[[nodiscard]] std::size_t padded_count(const Desc& desc);

struct Convolution {
    Shape input;
    Shape weight;  ///< [O,C,h,w], or [groups,O/groups,C,h,w]
    Shape output;
    Window window;
    bool bias = false;
    bool relu = false;
    bool training = false;
    /// Asks for Winograd's algorithm, for 3 x 3 taps without strides: it multiplies less and rounds
    /// a little more. The library refuses it for most other shapes.
    bool winograd = false;
    /// Images have all channels of a pixel side by side. The library has kernels that take only
    /// such images.
    bool channels_last = false;
    /// The factors of products are bf16; sums, bias and the weights' gradient stay f32.
    bool bf16 = false;
    bool bf16_result = false;  ///< of the forward pass and of the input's gradient
};

[[nodiscard]] Compiled convolution_forward(const Convolution& convolution);
[[nodiscard]] Compiled convolution_backward_input(const Convolution& convolution);
[[nodiscard]] Compiled convolution_backward_weight(const Convolution& convolution);

enum class PoolKind : std::uint8_t { Max, AverageInside, AveragePadded };

struct Pooling {
    PoolKind kind = PoolKind::Max;
    Desc input;
    Shape output;
    Window window;
    bool training = false;
};

[[nodiscard]] Compiled pooling_forward(const Pooling& pooling);
/// Requires  `output` is the layout that pooling_forward chose
[[nodiscard]] Compiled pooling_backward(const Pooling& pooling, const Desc& output);

/// Y [N,O] = X [N,K] W^T, with W as [O,K].
struct InnerProduct {
    bool bf16 = false;         ///< as for Convolution
    bool bf16_result = false;  ///< of the forward pass
    std::int64_t batch = 0;
    std::int64_t inputs = 0;
    std::int64_t outputs = 0;
    Desc weight;  ///< any layout, or how W lies
    bool bias = false;
    bool relu = false;
    bool training = false;
};

[[nodiscard]] Compiled inner_product_forward(const InnerProduct& product);
[[nodiscard]] Compiled inner_product_backward_weight(const InnerProduct& product);

/// What a product does after multiplying: it adds a bias to each column, then cuts below zero.
struct Finish {
    bool bias = false;
    bool relu = false;
};

[[nodiscard]] Compiled matrix_product(
    const Desc& a, const Desc& b, const Desc& y, Finish finish = {}
);
[[nodiscard]] Compiled reorder(const Desc& from, const Desc& to);

/// Returns `oneDNN 2.6.3 avx512_core`.
[[nodiscard]] std::string library_description();

}  // namespace starling::compute::cpu
