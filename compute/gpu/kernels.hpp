#pragma once

// The kernels' source, and the structures that host and kernels share: each equals the one of the
// same name in dialect.h or kernels/*.gpu.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "compute/graph/view.hpp"

namespace starling::compute::gpu {

/// Returns dialect and kernels as one text.
[[nodiscard]] std::string_view kernel_source();

inline constexpr std::size_t kRowLanes = 64;    ///< ROW_LANES
inline constexpr std::size_t kFlatLanes = 256;  ///< of kernels with one thread an element
inline constexpr std::size_t kTile = 64;        ///< TILE
inline constexpr std::size_t kTileSide = 16;    ///< SIDE
inline constexpr std::size_t kViewRankMax = 8;

struct KernelView {
    std::int32_t rank = 0;
    std::int32_t offset = 0;
    std::int32_t shape[kViewRankMax] = {};
    std::int32_t strides[kViewRankMax] = {};
};

struct ProductShape {
    std::int32_t rows = 0;
    std::int32_t columns = 0;
    std::int32_t depth = 0;
    std::int32_t a_row = 0;
    std::int32_t a_depth = 0;
    std::int32_t b_depth = 0;
    std::int32_t b_column = 0;
    std::int32_t biased = 0;
    std::int32_t cut = 0;
};

struct ConvolutionShape {
    std::int32_t batch = 0;
    std::int32_t channels = 0;
    std::int32_t height = 0;
    std::int32_t width = 0;
    std::int32_t outputs = 0;
    std::int32_t out_height = 0;
    std::int32_t out_width = 0;
    std::int32_t groups = 0;
    std::int32_t kernel_height = 0;
    std::int32_t kernel_width = 0;
    std::int32_t stride_height = 0;
    std::int32_t stride_width = 0;
    std::int32_t pad_top = 0;
    std::int32_t pad_left = 0;
    std::int32_t dilation_height = 0;
    std::int32_t dilation_width = 0;
    std::int32_t biased = 0;
    std::int32_t cut = 0;
};

struct LossShape {
    std::int32_t classes = 0;
    std::int32_t ignored = 0;
    std::int32_t weighted = 0;
    float smoothing = 0.0F;
};

struct PoolShape {
    std::int32_t height = 0;
    std::int32_t width = 0;
    std::int32_t out_height = 0;
    std::int32_t out_width = 0;
    std::int32_t kernel_height = 0;
    std::int32_t kernel_width = 0;
    std::int32_t stride_height = 0;
    std::int32_t stride_width = 0;
    std::int32_t pad_top = 0;
    std::int32_t pad_left = 0;
    std::int32_t dilation_height = 0;
    std::int32_t dilation_width = 0;
    std::int32_t padding_counts = 0;
};

struct ChannelShape {
    std::int32_t outer = 0;
    std::int32_t channels = 0;
    std::int64_t inner = 0;
};

struct AttentionShape {
    std::int32_t tokens = 0;
    std::int32_t heads = 0;
    std::int32_t width = 0;
    float scale = 0.0F;
};

/// Returns the view with neighbouring axes joined where they lie one behind the other, so that a
/// dense tensor has one axis.
/// Errors    throws std::runtime_error for more than eight axes, or places beyond 2^31
[[nodiscard]] KernelView kernel_view(const View& view);

}  // namespace starling::compute::gpu
