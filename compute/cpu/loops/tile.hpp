#pragma once

// Small matrix products whose operands lie in the cache: C [m,n] (+)= A [m,k] B [k,n], where A may
// be read along either axis. A block of C stays in registers while k runs. These serve loops that
// mix products with other work on the same rows; the libraries multiply whole layers.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/simd.hpp"
#include "compute/cpu/loops/lanes.hpp"

namespace starling::compute::cpu {

/// Element (i, k) lies at data[i * row + k * column].
struct Left {
    const float* data = nullptr;
    std::int64_t row = 0;
    std::int64_t column = 1;

    STARLING_INLINE Left from_row(std::int64_t i) const { return {data + i * row, row, column}; }
};

/// A row-major matrix; `stride` is the distance between its rows.
struct Right {
    const float* data = nullptr;
    std::int64_t stride = 0;
};

struct Target {
    float* data = nullptr;
    std::int64_t stride = 0;
    bool add = false;
};

inline constexpr std::int64_t kTileRows = 6;

namespace detail {

template <int Rows, int Vectors>
STARLING_INLINE void tile(const Left& a, const Right& b, std::int64_t depth, const Target& c) {
    Lanes sums[std::size_t{Rows}][std::size_t{Vectors}] = {};
    for (std::int64_t k = 0; k < depth; ++k) {
        const float* right = b.data + k * b.stride;
        const float* left = a.data + k * a.column;
        // memcpy, because rows may begin at any address; each copy compiles to one load.
        Lanes lanes[std::size_t{Vectors}];
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
            std::memcpy(&lanes[v], right + v * kLaneCount, sizeof(Lanes));
        }
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
            const float factor = left[r * a.row];
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) sums[r][v] += factor * lanes[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
        float* to = c.data + r * c.stride;
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
            Lanes sum = sums[r][v];
            if (c.add) {
                Lanes held;
                std::memcpy(&held, to + v * kLaneCount, sizeof(Lanes));
                sum += held;
            }
            std::memcpy(to + v * kLaneCount, &sum, sizeof(Lanes));
        }
    }
}

/// Multiplies the last columns, which are fewer than a vector has.
STARLING_INLINE void tile_rest(
    std::int64_t rows,
    std::int64_t columns,
    const Left& a,
    const Right& b,
    std::int64_t depth,
    const Target& c
) {
    for (std::int64_t r = 0; r < rows; ++r) {
        float* to = c.data + r * c.stride;
        for (std::int64_t i = 0; i < columns; ++i) {
            float sum = c.add ? to[i] : 0.0F;
            for (std::int64_t k = 0; k < depth; ++k) {
                sum += a.data[r * a.row + k * a.column] * b.data[k * b.stride + i];
            }
            to[i] = sum;
        }
    }
}

template <int Rows>
STARLING_INLINE void tile_band(
    std::int64_t columns, const Left& a, const Right& b, std::int64_t depth, const Target& c
) {
    std::int64_t at = 0;
    const auto right = [&](std::int64_t i) __attribute__((always_inline)) {
        return Right{b.data + i, b.stride};
    };
    const auto target = [&](std::int64_t i) __attribute__((always_inline)) {
        return Target{c.data + i, c.stride, c.add};
    };
    for (; at + 4 * kLaneCount <= columns; at += 4 * kLaneCount) {
        tile<Rows, 4>(a, right(at), depth, target(at));
    }
    for (; at + kLaneCount <= columns; at += kLaneCount) {
        tile<Rows, 1>(a, right(at), depth, target(at));
    }
    if (at < columns) tile_rest(Rows, columns - at, a, right(at), depth, target(at));
}

}  // namespace detail

/// C [rows, columns] (+)= A B for rows <= kTileRows.
STARLING_INLINE void small_product(
    std::int64_t rows,
    std::int64_t columns,
    const Left& a,
    const Right& b,
    std::int64_t depth,
    const Target& c
) {
    if (rows == kTileRows) {
        detail::tile_band<kTileRows>(columns, a, b, depth, c);
        return;
    }
    for (std::int64_t r = 0; r < rows; ++r) {
        const Target target{c.data + r * c.stride, c.stride, c.add};
        detail::tile_band<1>(columns, a.from_row(r), b, depth, target);
    }
}

}  // namespace starling::compute::cpu
