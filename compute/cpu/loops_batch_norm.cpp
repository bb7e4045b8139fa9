#include "compute/cpu/loops_batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace starling::compute::cpu {

namespace {

/// The width of a register, and of the rows that row-major images are cut into.
constexpr std::int64_t kLanes = 16;
constexpr int kUnroll = 4;

/// On narrower processors the compiler splits them.
using Lanes [[gnu::vector_size(64)]] = float;

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

/// Coefficients of a row: one a channel, or one channel's repeated.
std::int64_t row_of(const ChannelShape& s) {
    return s.inner == 1 ? kLanes : s.inner;
}

std::int64_t strip_of(const ChannelShape& s) {
    const auto row = row_of(s);
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(kStripElements) / row) * row;
}

constexpr int kBuffers = 4;  ///< strips that a pass widens at once
constexpr int kTables = 6;   ///< rows of coefficients and sums

/// One thread's scratch: per channel two sums in double, then floats.
struct Own {
    double* first;
    double* second;
    float* tables;
    float* buffers;

    static std::int64_t doubles(const ChannelShape& s) {
        const auto floats = kTables * row_of(s) + kBuffers * strip_of(s);
        return 2 * s.blocks * s.inner + (floats + 1) / 2;
    }

    Own(const ChannelShape& s, double* all, int part) {
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

int parts_of(const ChannelShape& s) {
    const auto elements = static_cast<std::size_t>(s.values() * s.blocks * s.inner);
    return elements < kParallelElementsMin ? 1 : s.threads;
}

/// Calls body(plane, part) for all planes, each thread's own from its last to its first: that of a
/// pass before, in the other direction, ended where this one begins, and left it in the cache.
template <class Body>
void for_planes(const ChannelShape& s, bool backwards, const Body& body) {
    const auto planes = s.images * s.blocks;
    const int parts = parts_of(s);
    const auto share = (planes + parts - 1) / parts;
#pragma omp parallel for schedule(static) num_threads(parts)
    for (int part = 0; part < parts; ++part) {
        const auto begin = std::min(planes, part * share);
        const auto end = std::min(planes, begin + share);
        for (auto i = begin; i < end; ++i) body(backwards ? begin + end - 1 - i : i, part);
    }
}

/// Copies a block's coefficients into a row, repeating that of a single channel.
STARLING_INLINE void fill_row(
    const ChannelShape& s, std::int64_t block, const float* channel_values, float* row
) {
    if (s.inner == 1) {
        std::fill(row, row + kLanes, channel_values[block]);
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
        for (std::int64_t i = 0; i < kLanes; ++i) totals[block] += static_cast<double>(row[i]);
        return;
    }
    double* to = totals + block * s.inner;
    for (std::int64_t i = 0; i < s.inner; ++i) to[i] += static_cast<double>(row[i]);
}

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
    if (row == kLanes) {
        Lanes centre;
        load_lanes(shift, centre);
        Lanes sum[kUnroll] = {};
        Lanes square[kUnroll] = {};
        for (; at + kUnroll * kLanes <= count; at += kUnroll * kLanes) {
#pragma GCC unroll 4
            for (int u = 0; u < kUnroll; ++u) {
                Lanes d;
                load_lanes(x + at + u * kLanes, d);
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

/// sums += g and slanted += g (x - mean).
STARLING_INLINE void add_slopes(
    std::int64_t row,
    std::int64_t count,
    const float* g,
    const float* x,
    const float* mean,
    float* sums,
    float* slanted
) {
    std::int64_t at = 0;
    if (row == kLanes) {
        Lanes centre;
        load_lanes(mean, centre);
        Lanes sum[kUnroll] = {};
        Lanes slant[kUnroll] = {};
        for (; at + kUnroll * kLanes <= count; at += kUnroll * kLanes) {
#pragma GCC unroll 4
            for (int u = 0; u < kUnroll; ++u) {
                Lanes slope;
                Lanes value;
                load_lanes(g + at + u * kLanes, slope);
                load_lanes(x + at + u * kLanes, value);
                sum[u] += slope;
                slant[u] += slope * (value - centre);
            }
        }
        add_lanes(sums, sum);
        add_lanes(slanted, slant);
    }
    for (; at < count; at += row) {
        const auto width = std::min(row, count - at);
#pragma omp simd
        for (std::int64_t i = 0; i < width; ++i) {
            sums[i] += g[at + i];
            slanted[i] += g[at + i] * (x[at + i] - mean[i]);
        }
    }
}

/// Calls body(at, width, row offset of the elements' coefficients) in a form that makes rows of
/// kLanes one register each.
template <class Body>
STARLING_INLINE void for_rows(std::int64_t row, std::int64_t count, const Body& body) {
    std::int64_t at = 0;
    if (row == kLanes) {
        for (; at + kLanes <= count; at += kLanes) body(at, kLanes);
    }
    for (; at < count; at += row) body(at, std::min(row, count - at));
}

/// y = (x - mean) * factor + bias [+ shortcut], cut below `floor`. A NaN passes.
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

/// g = dy [+ other], zero where the Relu cut. `y` is the output, or what the Relu saw.
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

STARLING_INLINE void moments_of_plane(
    const ChannelShape& s, const Source& x, std::int64_t plane, const Own& own
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
    const ChannelShape& s, const BatchNormForward& norm, std::int64_t plane, const Own& own
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

/// Returns the slopes behind the Relu, of a strip of x that is read already.
STARLING_INLINE const float* slopes_of(
    const ChannelShape& s,
    const BatchNormBackward& norm,
    std::size_t from,
    std::int64_t count,
    const float* x,
    const Own& own
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

STARLING_INLINE void slopes_of_plane(
    const ChannelShape& s, const BatchNormBackward& norm, std::int64_t plane, const Own& own
) {
    const auto row = row_of(s);
    const auto length = s.places * s.inner;
    float* sums = own.table(s, 1);
    float* slanted = own.table(s, 2);
    std::fill(sums, sums + 2 * row, 0.0F);
    for (std::int64_t at = 0; at < length; at += strip_of(s)) {
        const auto count = std::min(strip_of(s), length - at);
        const auto from = static_cast<std::size_t>(plane * length + at);
        const auto size = static_cast<std::size_t>(count);
        const float* x = read_strip(norm.x, from, size, own.buffer(s, 0));
        const float* g = slopes_of(s, norm, from, count, x, own);
        if (norm.slope.data != nullptr && norm.slope.bf16) {
            narrow(g, norm.slope.halves() + from, size);
            // The second pass sees them rounded, so the sums do too.
            widen(norm.slope.halves() + from, own.buffer(s, 1), size);
            g = own.buffer(s, 1);
        } else if (norm.slope.data != nullptr) {
            std::copy_n(g, count, norm.slope.floats() + from);
        }
        add_slopes(row, count, g, x, own.table(s, 0), sums, slanted);
    }
}

STARLING_INLINE void backward_plane(
    const ChannelShape& s, const BatchNormBackward& norm, std::int64_t plane, const Own& own
) {
    const auto length = s.places * s.inner;
    for (std::int64_t at = 0; at < length; at += strip_of(s)) {
        const auto count = std::min(strip_of(s), length - at);
        const auto from = static_cast<std::size_t>(plane * length + at);
        const auto size = static_cast<std::size_t>(count);
        const float* x = read_strip(norm.x, from, size, own.buffer(s, 0));
        const float* g = slopes_of(s, norm, from, count, x, own);
        float* dx = begin_strip(norm.dx, from, own.buffer(s, 2));
        apply_gradient(
            row_of(s),
            count,
            g,
            x,
            own.table(s, 0),
            own.table(s, 1),
            own.table(s, 2),
            own.table(s, 3),
            dx
        );
        finish_strip(norm.dx, from, size, own.buffer(s, 2));
    }
}

/// Brings the parts' sums together in the first part's.
void add_parts(const ChannelShape& s, double* scratch) {
    const Own all(s, scratch, 0);
    for (int part = 1; part < parts_of(s); ++part) {
        const Own own(s, scratch, part);
        for (std::int64_t c = 0; c < 2 * s.blocks * s.inner; ++c) all.first[c] += own.first[c];
    }
}

void clear_sums(const ChannelShape& s, double* scratch) {
    for (int part = 0; part < parts_of(s); ++part) {
        const Own own(s, scratch, part);
        std::fill(own.first, own.first + 2 * s.blocks * s.inner, 0.0);
    }
}

/// Writes the mean of the first image into `mean`, as a point near the mean of all.
void find_shift(const ChannelShape& s, const BatchNormForward& norm, double* scratch) {
    const Own own(s, scratch, 0);
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
        const Own own(s, scratch, part);
        const auto block = plane % s.blocks;
        fill_row(s, block, norm.mean, own.table(s, 0));
        vectorized<moments_of_plane>(s, norm.x, plane, own);
        add_row(s, block, own.table(s, 1), own.first);
        add_row(s, block, own.table(s, 2), own.second);
    });
    add_parts(s, scratch);
    const Own own(s, scratch, 0);
    const double share = 1.0 / static_cast<double>(s.values());
    for (std::int64_t c = 0; c < s.channels; ++c) {
        const double off = own.first[c] * share;
        norm.mean[c] = static_cast<float>(static_cast<double>(norm.mean[c]) + off);
        norm.variance[c] = static_cast<float>(std::max(0.0, own.second[c] * share - off * off));
    }
}

float inverse_deviation(float variance, float epsilon) {
    return 1.0F / std::sqrt(variance + epsilon);
}

/// Multiplies a row of scales with the inverse deviations of the block's channels.
void fill_factors(
    const ChannelShape& s,
    std::int64_t block,
    const float* scale,
    const float* variance,
    float epsilon,
    float* row
) {
    fill_row(s, block, scale, row);
    for (std::int64_t i = 0; i < row_of(s); ++i) {
        const auto c = s.inner == 1 ? block : block * s.inner + i;
        if (c < s.channels) row[i] *= inverse_deviation(variance[c], epsilon);
    }
}

/// Fills the rows that give dX from slopes g: factor g - level - slant (x - mean).
void fill_gradient_rows(
    const ChannelShape& s,
    const BatchNormBackward& norm,
    std::int64_t block,
    const Own& sums,
    const Own& own
) {
    float* level = own.table(s, 2);
    float* slant = own.table(s, 3);
    fill_row(s, block, norm.mean, own.table(s, 0));
    fill_factors(s, block, norm.scale, norm.variance, norm.epsilon, own.table(s, 1));
    const double share = 1.0 / static_cast<double>(s.values());
    for (std::int64_t i = 0; i < row_of(s); ++i) {
        const auto c = s.inner == 1 ? block : block * s.inner + i;
        level[i] = 0.0F;
        slant[i] = 0.0F;
        if (c >= s.channels) continue;
        const auto factor = static_cast<double>(own.table(s, 1)[i]);
        const double wide = static_cast<double>(norm.variance[c] + norm.epsilon);
        level[i] = static_cast<float>(factor * sums.first[c] * share);
        slant[i] = static_cast<float>(factor * sums.second[c] * share / wide);
    }
}

/// Fills the rows by which Mask::Self repeats the norm.
void fill_mask_rows(
    const ChannelShape& s, const BatchNormBackward& norm, std::int64_t block, const Own& own
) {
    if (norm.mask != Mask::Self) return;
    fill_factors(s, block, norm.scale, norm.variance, norm.epsilon, own.table(s, 4));
    fill_row(s, block, norm.bias, own.table(s, 5));
}

}  // namespace

std::size_t ChannelShape::scratch_elements() const {
    return static_cast<std::size_t>(threads * Own::doubles(*this));
}

void batch_norm(const ChannelShape& s, const BatchNormForward& norm, double* scratch) {
    if (!norm.fixed) find_moments(s, norm, scratch);
    for_planes(s, true, [&](std::int64_t plane, int part) {
        const Own own(s, scratch, part);
        const auto block = plane % s.blocks;
        fill_row(s, block, norm.mean, own.table(s, 0));
        fill_factors(s, block, norm.scale, norm.variance, norm.epsilon, own.table(s, 1));
        fill_row(s, block, norm.bias, own.table(s, 2));
        vectorized<forward_plane>(s, norm, plane, own);
    });
}

void batch_norm_gradient(const ChannelShape& s, const BatchNormBackward& norm, double* scratch) {
    clear_sums(s, scratch);
    for_planes(s, false, [&](std::int64_t plane, int part) {
        const Own own(s, scratch, part);
        const auto block = plane % s.blocks;
        fill_row(s, block, norm.mean, own.table(s, 0));
        fill_mask_rows(s, norm, block, own);
        vectorized<slopes_of_plane>(s, norm, plane, own);
        add_row(s, block, own.table(s, 1), own.first);
        add_row(s, block, own.table(s, 2), own.second);
    });
    add_parts(s, scratch);
    const Own sums(s, scratch, 0);
    for (std::int64_t c = 0; c < s.channels; ++c) {
        const auto inverse = static_cast<double>(inverse_deviation(norm.variance[c], norm.epsilon));
        norm.dscale[c] = static_cast<float>(sums.second[c] * inverse);
        norm.dbias[c] = static_cast<float>(sums.first[c]);
    }
    // What the first pass has written need not be made again.
    auto rest = norm;
    if (norm.slope.data != nullptr) {
        rest.dy = {norm.slope.data, norm.slope.bf16};
        rest.other = {};
        rest.mask = Mask::None;
    }
    for_planes(s, true, [&](std::int64_t plane, int part) {
        const Own own(s, scratch, part);
        const auto block = plane % s.blocks;
        fill_gradient_rows(s, rest, block, sums, own);
        fill_mask_rows(s, rest, block, own);
        vectorized<backward_plane>(s, rest, plane, own);
    });
}

}  // namespace starling::compute::cpu
