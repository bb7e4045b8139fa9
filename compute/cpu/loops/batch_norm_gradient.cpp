// The backward pass of a batch norm.

#include <algorithm>
#include <cmath>

#include "compute/cpu/loops/batch_norm.hpp"
#include "compute/cpu/loops/batch_norm_rows.hpp"

namespace starling::compute::cpu {

namespace {

/// g = dy [+ other], or zero where the Relu has cut. `y` is the Relu's output or its operand: both
/// are positive at the same places.
STARLING_INLINE void cut_slopes(
    std::int64_t count, const float* dy, const float* other, const float* y, float* g
) {
    if (other != nullptr && y != nullptr) {
#pragma omp simd
        for (std::int64_t i = 0; i < count; ++i) {
            const float slope = dy[i] + other[i];
            g[i] = y[i] > 0.0F ? slope : 0.0F;
        }
    } else if (other != nullptr) {
#pragma omp simd
        for (std::int64_t i = 0; i < count; ++i) g[i] = dy[i] + other[i];
    } else {
#pragma omp simd
        for (std::int64_t i = 0; i < count; ++i) {
            const float slope = dy[i];
            g[i] = y[i] > 0.0F ? slope : 0.0F;
        }
    }
}

STARLING_INLINE void apply_gradient(
    std::int64_t row,
    std::int64_t count,
    const float* g,
    const float* x,
    const float* mean,
    const float* factor,
    const float* level,
    const float* slant,
    float* dx
) {
    for_rows(
        row,
        count,
        [&](std::int64_t at, std::int64_t width) __attribute__((always_inline)) {
#pragma omp simd
            for (std::int64_t i = 0; i < width; ++i) {
                dx[at + i] = factor[i] * g[at + i] - level[i] - slant[i] * (x[at + i] - mean[i]);
            }
        }
    );
}

/// Returns the slopes of the Relu's operand for a strip, whose x the caller has read already.
STARLING_INLINE const float* slopes_of(
    const ChannelShape& s,
    const BatchNormBackward& norm,
    std::size_t from,
    std::int64_t count,
    const float* x,
    const PartScratch& own
) {
    const auto size = static_cast<std::size_t>(count);
    float* g = own.buffer(s, 1);
    const float* dy = read_strip(norm.dy, from, size, g);
    if (norm.mask == Mask::None && norm.other.data == nullptr) return dy;
    const float* y = nullptr;
    if (norm.mask == Mask::Output) y = read_strip(norm.y, from, size, own.buffer(s, 2));
    if (norm.mask == Mask::Self) {
        float* seen = own.buffer(s, 2);
        const float* factor = own.table(s, 4);
        const float* bias = own.table(s, 5);
        apply_norm(row_of(s), count, x, nullptr, own.table(s, 0), factor, bias, -HUGE_VALF, seen);
        y = seen;
    }
    const float* other =
        norm.other.data == nullptr ? nullptr : read_strip(norm.other, from, size, own.buffer(s, 3));
    cut_slopes(count, dy, other, y, g);
    return g;
}

/// Fills tables 1 and 2 with the sums over a plane of g and of g (x - mean), and writes g where it
/// is wanted.
STARLING_INLINE void slopes_of_plane(
    const ChannelShape& s, const BatchNormBackward& norm, std::int64_t plane, const PartScratch& own
) {
    float* sums = own.table(s, 1);
    float* slanted = own.table(s, 2);
    std::fill(sums, sums + 2 * row_of(s), 0.0F);
    for_strips(
        s,
        plane,
        [&](std::size_t from, std::int64_t count) __attribute__((always_inline)) {
            const auto size = static_cast<std::size_t>(count);
            const float* x = read_strip(norm.x, from, size, own.buffer(s, 0));
            const float* g = slopes_of(s, norm, from, count, x, own);
            if (norm.slope.data != nullptr && norm.slope.bf16) {
                narrow(g, norm.slope.halves() + from, size);
                // The second pass reads the rounded slopes, so the sums are made of these, too.
                widen(norm.slope.halves() + from, own.buffer(s, 1), size);
                g = own.buffer(s, 1);
            } else if (norm.slope.data != nullptr) {
                std::copy_n(g, count, norm.slope.floats() + from);
            }
            add_sums(row_of(s), count, g, x, own.table(s, 0), sums, slanted);
        }
    );
}

STARLING_INLINE void backward_plane(
    const ChannelShape& s, const BatchNormBackward& norm, std::int64_t plane, const PartScratch& own
) {
    for_strips(
        s,
        plane,
        [&](std::size_t from, std::int64_t count) __attribute__((always_inline)) {
            const auto size = static_cast<std::size_t>(count);
            const float* x = read_strip(norm.x, from, size, own.buffer(s, 0));
            const float* g = slopes_of(s, norm, from, count, x, own);
            float* dx = begin_strip(norm.dx, from, own.buffer(s, 2));
            const float* mean = own.table(s, 0);
            const float* factor = own.table(s, 1);
            const float* level = own.table(s, 2);
            const float* slant = own.table(s, 3);
            apply_gradient(row_of(s), count, g, x, mean, factor, level, slant, dx);
            finish_strip(norm.dx, from, size, own.buffer(s, 2));
        }
    );
}

/// Fills the rows that give dX from slopes g: factor g - level - slant (x - mean).
void fill_gradient_rows(
    const ChannelShape& s,
    const BatchNormBackward& norm,
    std::int64_t block,
    const PartScratch& sums,
    const PartScratch& own
) {
    float* level = own.table(s, 2);
    float* slant = own.table(s, 3);
    fill_row(s, block, norm.mean, own.table(s, 0));
    fill_factors(s, block, norm.scale, norm.variance, norm.epsilon, own.table(s, 1));
    const double share = 1.0 / static_cast<double>(s.values());
    for (std::int64_t i = 0; i < row_of(s); ++i) {
        const auto c = channel_of(s, block, i);
        level[i] = 0.0F;
        slant[i] = 0.0F;
        if (c >= s.channels) continue;
        const auto factor = static_cast<double>(own.table(s, 1)[i]);
        const double wide = static_cast<double>(norm.variance[c] + norm.epsilon);
        level[i] = static_cast<float>(factor * sums.first[c] * share);
        slant[i] = static_cast<float>(factor * sums.second[c] * share / wide);
    }
}

/// Fills the tables from which Mask::Self computes the norm again.
void fill_mask_rows(
    const ChannelShape& s, const BatchNormBackward& norm, std::int64_t block, const PartScratch& own
) {
    if (norm.mask != Mask::Self) return;
    fill_factors(s, block, norm.scale, norm.variance, norm.epsilon, own.table(s, 4));
    fill_row(s, block, norm.bias, own.table(s, 5));
}

}  // namespace

void batch_norm_gradient(const ChannelShape& s, const BatchNormBackward& norm, double* scratch) {
    sum_planes(s, scratch, [&](std::int64_t plane, std::int64_t block, const PartScratch& own) {
        fill_row(s, block, norm.mean, own.table(s, 0));
        fill_mask_rows(s, norm, block, own);
        vectorized<slopes_of_plane>(s, norm, plane, own);
    });
    const PartScratch sums(s, scratch, 0);
    for (std::int64_t c = 0; c < s.channels; ++c) {
        const auto inverse = static_cast<double>(inverse_deviation(norm.variance[c], norm.epsilon));
        norm.dscale[c] = static_cast<float>(sums.second[c] * inverse);
        norm.dbias[c] = static_cast<float>(sums.first[c]);
    }
    // The second pass reads the slopes that the first has written, if it has, and does not make
    // them again.
    auto rest = norm;
    if (norm.slope.data != nullptr) {
        rest.dy = {norm.slope.data, norm.slope.bf16};
        rest.other = {};
        rest.mask = Mask::None;
    }
    for_planes(
        s,
        scratch,
        true,
        [&](std::int64_t plane, std::int64_t block, const PartScratch& own) {
            fill_gradient_rows(s, rest, block, sums, own);
            fill_mask_rows(s, rest, block, own);
            vectorized<backward_plane>(s, rest, plane, own);
        }
    );
}

}  // namespace starling::compute::cpu
