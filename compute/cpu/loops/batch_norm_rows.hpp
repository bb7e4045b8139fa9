#pragma once

// What both passes of a batch norm share: planes among threads, strips of a plane, rows of
// coefficients, sums over rows, and the norm itself. A plane is one block of channels of one image.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/simd.hpp"
#include "compute/cpu/loops/channel_shape.hpp"
#include "compute/cpu/loops/lanes.hpp"
#include "compute/simd/strips.hpp"

namespace starling::compute::cpu {

inline constexpr int kUnroll = 4;  ///< registers

STARLING_INLINE void load_lanes(const float* from, Lanes& lanes) {
    std::memcpy(&lanes, from, sizeof(Lanes));
}

/// Adds the sums of an unrolled loop.
STARLING_INLINE void add_lanes(float* to, const Lanes* sums) {
    Lanes all;
    load_lanes(to, all);
    all += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    std::memcpy(to, &all, sizeof(Lanes));
}

/// Returns how many coefficients a row has: one for each channel, or one channel's, repeated to
/// fill a register.
inline std::int64_t row_of(const ChannelShape& s) {
    return s.inner == 1 ? kLaneCount : s.inner;
}

inline std::int64_t strip_of(const ChannelShape& s) {
    const auto row = row_of(s);
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(kStripElements) / row) * row;
}

inline constexpr int kBuffers = 4;  ///< strips that a pass widens at the same time
inline constexpr int kTables = 6;   ///< rows of coefficients and sums

/// One thread's scratch: two sums in double for each channel, then tables and buffers of floats.
struct PartScratch {
    double* first;
    double* second;
    float* tables;
    float* buffers;

    static std::int64_t doubles(const ChannelShape& s) {
        const auto floats = kTables * row_of(s) + kBuffers * strip_of(s);
        return 2 * s.blocks * s.inner + (floats + 1) / 2;
    }

    PartScratch(const ChannelShape& s, double* all, int part) {
        first = all + part * doubles(s);
        second = first + s.blocks * s.inner;
        tables = reinterpret_cast<float*>(second + s.blocks * s.inner);
        buffers = tables + kTables * row_of(s);
    }

    [[nodiscard]] float* table(const ChannelShape& s, int i) const {
        return tables + i * row_of(s);
    }

    [[nodiscard]] float* buffer(const ChannelShape& s, int i) const {
        return buffers + i * strip_of(s);
    }
};

inline int parts_of(const ChannelShape& s) {
    const auto elements = static_cast<std::size_t>(s.values() * s.blocks * s.inner);
    return elements < kParallelElementsMin ? 1 : s.threads;
}

/// Calls body(plane, its block, the thread's scratch) for all planes. Each thread walks through its
/// own planes in one direction. A second pass walks in the other: it begins where the pass before
/// ended, and what was read last is still in the cache.
template <class Body>
inline void for_planes(const ChannelShape& s, double* scratch, bool backwards, const Body& body) {
    const auto planes = s.images * s.blocks;
    const int parts = parts_of(s);
    const auto share = (planes + parts - 1) / parts;
#pragma omp parallel for schedule(static) num_threads(parts)
    for (int part = 0; part < parts; ++part) {
        const PartScratch own(s, scratch, part);
        const auto begin = std::min(planes, part * share);
        const auto end = std::min(planes, begin + share);
        for (auto i = begin; i < end; ++i) {
            const auto plane = backwards ? begin + end - 1 - i : i;
            body(plane, plane % s.blocks, own);
        }
    }
}

/// Calls body(first element, count) for the strips of a plane.
template <class Body>
STARLING_INLINE void for_strips(const ChannelShape& s, std::int64_t plane, const Body& body) {
    const auto length = s.places * s.inner;
    for (std::int64_t at = 0; at < length; at += strip_of(s)) {
        body(static_cast<std::size_t>(plane * length + at), std::min(strip_of(s), length - at));
    }
}

/// Returns the channel of a row's i-th coefficient; one beyond the last only fills up a block.
inline std::int64_t channel_of(const ChannelShape& s, std::int64_t block, std::int64_t i) {
    return s.inner == 1 ? block : block * s.inner + i;
}

/// Copies a block's coefficients into a row. The coefficient of a single channel is repeated.
STARLING_INLINE void fill_row(
    const ChannelShape& s, std::int64_t block, const float* channel_values, float* row
) {
    if (s.inner == 1) {
        std::fill(row, row + kLaneCount, channel_values[block]);
        return;
    }
    const auto count = std::min(s.inner, s.channels - block * s.inner);
    std::copy_n(channel_values + block * s.inner, count, row);
    std::fill(row + count, row + s.inner, 0.0F);
}

/// Adds a row of sums to the channels' totals.
STARLING_INLINE void add_row(
    const ChannelShape& s, std::int64_t block, const float* row, double* totals
) {
    if (s.inner == 1) {
        for (std::int64_t i = 0; i < kLaneCount; ++i) totals[block] += static_cast<double>(row[i]);
        return;
    }
    double* to = totals + block * s.inner;
    for (std::int64_t i = 0; i < s.inner; ++i) to[i] += static_cast<double>(row[i]);
}

/// Calls body(first element, count) for each row of a strip. Rows of kLaneCount have a constant
/// count, so that the compiler keeps each in one register.
template <class Body>
STARLING_INLINE void for_rows(std::int64_t row, std::int64_t count, const Body& body) {
    std::int64_t at = 0;
    if (row == kLaneCount) {
        for (; at + kLaneCount <= count; at += kLaneCount) body(at, kLaneCount);
    }
    for (; at < count; at += row) body(at, std::min(row, count - at));
}

/// With d = x - centre: first += g and second += g d, column by column. Without g (nullptr) d takes
/// its place: first += d and second += d^2.
STARLING_INLINE void add_sums(
    std::int64_t row,
    std::int64_t count,
    const float* g,
    const float* x,
    const float* centre,
    float* first,
    float* second
) {
    std::int64_t at = 0;
    if (row == kLaneCount) {
        Lanes middle;
        load_lanes(centre, middle);
        Lanes sum[kUnroll] = {};
        Lanes product[kUnroll] = {};
        for (; at + kUnroll * kLaneCount <= count; at += kUnroll * kLaneCount) {
#pragma GCC unroll 4
            for (int u = 0; u < kUnroll; ++u) {
                Lanes d;
                load_lanes(x + at + u * kLaneCount, d);
                d -= middle;
                Lanes slope = d;
                if (g != nullptr) load_lanes(g + at + u * kLaneCount, slope);
                sum[u] += slope;
                product[u] += slope * d;
            }
        }
        add_lanes(first, sum);
        add_lanes(second, product);
    }
    for (; at < count; at += row) {
        const auto width = std::min(row, count - at);
#pragma omp simd
        for (std::int64_t i = 0; i < width; ++i) {
            const float d = x[at + i] - centre[i];
            const float slope = g == nullptr ? d : g[at + i];
            first[i] += slope;
            second[i] += slope * d;
        }
    }
}

/// y = (x - mean) * factor + bias [+ shortcut], but `floor` where that is below it. A NaN stays
/// one.
STARLING_INLINE void apply_norm(
    std::int64_t row,
    std::int64_t count,
    const float* x,
    const float* shortcut,
    const float* mean,
    const float* factor,
    const float* bias,
    float floor,
    float* y
) {
    for_rows(
        row,
        count,
        [&](std::int64_t at, std::int64_t width) __attribute__((always_inline)) {
            if (shortcut == nullptr) {
#pragma omp simd
                for (std::int64_t i = 0; i < width; ++i) {
                    const float value = (x[at + i] - mean[i]) * factor[i] + bias[i];
                    y[at + i] = value < floor ? floor : value;
                }
            } else {
#pragma omp simd
                for (std::int64_t i = 0; i < width; ++i) {
                    const float value =
                        (x[at + i] - mean[i]) * factor[i] + bias[i] + shortcut[at + i];
                    y[at + i] = value < floor ? floor : value;
                }
            }
        }
    );
}

/// Adds the sums of all parts to those of the first part.
inline void add_parts(const ChannelShape& s, double* scratch) {
    const PartScratch all(s, scratch, 0);
    for (int part = 1; part < parts_of(s); ++part) {
        const PartScratch own(s, scratch, part);
        for (std::int64_t c = 0; c < 2 * s.blocks * s.inner; ++c) all.first[c] += own.first[c];
    }
}

inline void clear_sums(const ChannelShape& s, double* scratch) {
    for (int part = 0; part < parts_of(s); ++part) {
        const PartScratch own(s, scratch, part);
        std::fill(own.first, own.first + 2 * s.blocks * s.inner, 0.0);
    }
}

/// Calls body as for_planes() does and adds up the two rows of sums, tables 1 and 2, that it
/// leaves: the totals of each channel are then in the first part's scratch.
template <class Body>
inline void sum_planes(const ChannelShape& s, double* scratch, const Body& body) {
    clear_sums(s, scratch);
    for_planes(
        s,
        scratch,
        false,
        [&](std::int64_t plane, std::int64_t block, const PartScratch& own) {
            body(plane, block, own);
            add_row(s, block, own.table(s, 1), own.first);
            add_row(s, block, own.table(s, 2), own.second);
        }
    );
    add_parts(s, scratch);
}

inline float inverse_deviation(float variance, float epsilon) {
    return 1.0F / std::sqrt(variance + epsilon);
}

/// Multiplies a row of scales with the inverse deviations of the block's channels.
inline void fill_factors(
    const ChannelShape& s,
    std::int64_t block,
    const float* scale,
    const float* variance,
    float epsilon,
    float* row
) {
    fill_row(s, block, scale, row);
    for (std::int64_t i = 0; i < row_of(s); ++i) {
        const auto c = channel_of(s, block, i);
        if (c < s.channels) row[i] *= inverse_deviation(variance[c], epsilon);
    }
}

}  // namespace starling::compute::cpu
