#include "compute/cpu/loops_batch_norm.hpp"

#include <algorithm>
#include <cmath>

#include "compute/cpu/batch_norm_rows.hpp"

namespace starling::compute::cpu {

namespace {

/// sums += x - shift and squares += (x - shift)^2, column by column.
STARLING_INLINE void add_moments(
    std::int64_t row,
    std::int64_t count,
    const float* x,
    const float* shift,
    float* sums,
    float* squares
) {
    std::int64_t at = 0;
    if (row == kLaneCount) {
        Lanes centre;
        load_lanes(shift, centre);
        Lanes sum[kUnroll] = {};
        Lanes square[kUnroll] = {};
        for (; at + kUnroll * kLaneCount <= count; at += kUnroll * kLaneCount) {
#pragma GCC unroll 4
            for (int u = 0; u < kUnroll; ++u) {
                Lanes d;
                load_lanes(x + at + u * kLaneCount, d);
                d -= centre;
                sum[u] += d;
                square[u] += d * d;
            }
        }
        add_lanes(sums, sum);
        add_lanes(squares, square);
    }
    for (; at < count; at += row) {
        const auto width = std::min(row, count - at);
#pragma omp simd
        for (std::int64_t i = 0; i < width; ++i) {
            const float d = x[at + i] - shift[i];
            sums[i] += d;
            squares[i] += d * d;
        }
    }
}

STARLING_INLINE void moments_of_plane(
    const ChannelShape& s, const Source& x, std::int64_t plane, const PartScratch& own
) {
    const auto row = row_of(s);
    const auto length = s.places * s.inner;
    const float* shift = own.table(s, 0);
    float* sums = own.table(s, 1);
    float* squares = own.table(s, 2);
    std::fill(sums, sums + 2 * row, 0.0F);
    for (std::int64_t at = 0; at < length; at += strip_of(s)) {
        const auto count = std::min(strip_of(s), length - at);
        const auto from = static_cast<std::size_t>(plane * length + at);
        const float* values =
            read_strip(x, from, static_cast<std::size_t>(count), own.buffer(s, 0));
        add_moments(row, count, values, shift, sums, squares);
    }
}

STARLING_INLINE void forward_plane(
    const ChannelShape& s, const BatchNormForward& norm, std::int64_t plane, const PartScratch& own
) {
    const auto row = row_of(s);
    const auto length = s.places * s.inner;
    const float floor = norm.relu ? 0.0F : -HUGE_VALF;
    for (std::int64_t at = 0; at < length; at += strip_of(s)) {
        const auto count = std::min(strip_of(s), length - at);
        const auto from = static_cast<std::size_t>(plane * length + at);
        const auto size = static_cast<std::size_t>(count);
        const float* x = read_strip(norm.x, from, size, own.buffer(s, 0));
        const float* shortcut = norm.shortcut.data == nullptr
                                    ? nullptr
                                    : read_strip(norm.shortcut, from, size, own.buffer(s, 1));
        float* y = begin_strip(norm.y, from, own.buffer(s, 2));
        apply_norm(
            row, count, x, shortcut, own.table(s, 0), own.table(s, 1), own.table(s, 2), floor, y
        );
        finish_strip(norm.y, from, size, own.buffer(s, 2));
    }
}

/// Writes the mean of the first image into `mean`, as a point near the mean of all.
void find_shift(const ChannelShape& s, const BatchNormForward& norm, double* scratch) {
    const PartScratch own(s, scratch, 0);
    std::fill(own.first, own.first + 2 * s.blocks * s.inner, 0.0);
    std::fill(own.table(s, 0), own.table(s, 1), 0.0F);
    for (std::int64_t block = 0; block < s.blocks; ++block) {
        vectorized<moments_of_plane>(s, norm.x, block, own);
        add_row(s, block, own.table(s, 1), own.first);
    }
    for (std::int64_t c = 0; c < s.channels; ++c) {
        norm.mean[c] = static_cast<float>(own.first[c] / static_cast<double>(s.places));
    }
}

void find_moments(const ChannelShape& s, const BatchNormForward& norm, double* scratch) {
    find_shift(s, norm, scratch);
    clear_sums(s, scratch);
    for_planes(s, false, [&](std::int64_t plane, int part) {
        const PartScratch own(s, scratch, part);
        const auto block = plane % s.blocks;
        fill_row(s, block, norm.mean, own.table(s, 0));
        vectorized<moments_of_plane>(s, norm.x, plane, own);
        add_row(s, block, own.table(s, 1), own.first);
        add_row(s, block, own.table(s, 2), own.second);
    });
    add_parts(s, scratch);
    const PartScratch own(s, scratch, 0);
    const double share = 1.0 / static_cast<double>(s.values());
    for (std::int64_t c = 0; c < s.channels; ++c) {
        const double off = own.first[c] * share;
        norm.mean[c] = static_cast<float>(static_cast<double>(norm.mean[c]) + off);
        norm.variance[c] = static_cast<float>(std::max(0.0, own.second[c] * share - off * off));
    }
}

}  // namespace

std::size_t ChannelShape::scratch_elements() const {
    return static_cast<std::size_t>(threads * PartScratch::doubles(*this));
}

void batch_norm(const ChannelShape& s, const BatchNormForward& norm, double* scratch) {
    if (!norm.fixed) find_moments(s, norm, scratch);
    for_planes(s, true, [&](std::int64_t plane, int part) {
        const PartScratch own(s, scratch, part);
        const auto block = plane % s.blocks;
        fill_row(s, block, norm.mean, own.table(s, 0));
        fill_factors(s, block, norm.scale, norm.variance, norm.epsilon, own.table(s, 1));
        fill_row(s, block, norm.bias, own.table(s, 2));
        vectorized<forward_plane>(s, norm, plane, own);
    });
}

}  // namespace starling::compute::cpu
