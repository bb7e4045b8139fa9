#include "compute/cpu/loops/batch_norm.hpp"

#include <algorithm>
#include <cmath>

#include "compute/cpu/loops/batch_norm_rows.hpp"

namespace starling::compute::cpu {

namespace {

/// Fills tables 1 and 2 with the sums over a plane of x - shift and its square; table 0 holds the
/// shift.
STARLING_INLINE void moments_of_plane(
    const ChannelShape& s, const Source& x, std::int64_t plane, const PartScratch& own
) {
    float* sums = own.table(s, 1);
    float* squares = own.table(s, 2);
    std::fill(sums, sums + 2 * row_of(s), 0.0F);
    for_strips(
        s,
        plane,
        [&](std::size_t from, std::int64_t count) __attribute__((always_inline)) {
            const auto size = static_cast<std::size_t>(count);
            const float* values = read_strip(x, from, size, own.buffer(s, 0));
            add_sums(row_of(s), count, nullptr, values, own.table(s, 0), sums, squares);
        }
    );
}

/// Writes a plane of y; tables 0 to 2 hold mean, factor and bias.
STARLING_INLINE void forward_plane(
    const ChannelShape& s, const BatchNormForward& norm, std::int64_t plane, const PartScratch& own
) {
    const float floor = norm.relu ? 0.0F : -HUGE_VALF;
    for_strips(
        s,
        plane,
        [&](std::size_t from, std::int64_t count) __attribute__((always_inline)) {
            const auto size = static_cast<std::size_t>(count);
            const float* x = read_strip(norm.x, from, size, own.buffer(s, 0));
            const float* shortcut = norm.shortcut.data == nullptr
                                        ? nullptr
                                        : read_strip(norm.shortcut, from, size, own.buffer(s, 1));
            float* y = begin_strip(norm.y, from, own.buffer(s, 2));
            const float* mean = own.table(s, 0);
            const float* factor = own.table(s, 1);
            const float* bias = own.table(s, 2);
            apply_norm(row_of(s), count, x, shortcut, mean, factor, bias, floor, y);
            finish_strip(norm.y, from, size, own.buffer(s, 2));
        }
    );
}

/// Writes the mean of the first image into `mean`: it is near the mean of all images.
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
    sum_planes(s, scratch, [&](std::int64_t plane, std::int64_t block, const PartScratch& own) {
        fill_row(s, block, norm.mean, own.table(s, 0));
        vectorized<moments_of_plane>(s, norm.x, plane, own);
    });
    const PartScratch own(s, scratch, 0);
    const double share = 1.0 / static_cast<double>(s.values());
    for (std::int64_t c = 0; c < s.channels; ++c) {
        const double off = own.first[c] * share;
        norm.mean[c] = static_cast<float>(static_cast<double>(norm.mean[c]) + off);
        norm.variance[c] = static_cast<float>(std::max(0.0, own.second[c] * share - off * off));
    }
}

}  // namespace

std::size_t batch_norm_scratch(const ChannelShape& shape) {
    return static_cast<std::size_t>(shape.threads * PartScratch::doubles(shape));
}

void batch_norm(const ChannelShape& s, const BatchNormForward& norm, double* scratch) {
    if (!norm.fixed) find_moments(s, norm, scratch);
    for_planes(
        s,
        scratch,
        true,
        [&](std::int64_t plane, std::int64_t block, const PartScratch& own) {
            fill_row(s, block, norm.mean, own.table(s, 0));
            fill_factors(s, block, norm.scale, norm.variance, norm.epsilon, own.table(s, 1));
            fill_row(s, block, norm.bias, own.table(s, 2));
            vectorized<forward_plane>(s, norm, plane, own);
        }
    );
}

}  // namespace starling::compute::cpu
