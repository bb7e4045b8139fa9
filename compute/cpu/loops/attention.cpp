#include "compute/cpu/loops/attention.hpp"

#include <algorithm>
#include <cmath>
#include <omp.h>

#include "compute/cpu/loops/fast_math.hpp"
#include "compute/cpu/loops/tile.hpp"

namespace starling::compute::cpu {

namespace {

/// Query rows whose slopes are held at the same time; a multiple of kTileRows.
constexpr std::int64_t kBlock = 96;

/// Rounds up to whole vectors, so that rows of transposed operands end with a full one.
std::int64_t padded(std::int64_t tokens) {
    return (tokens + kLaneCount - 1) / kLaneCount * kLaneCount;
}

/// Where one head's parts lie.
struct Head {
    std::int64_t n;
    std::int64_t h;
    std::int64_t row;   ///< floats from one token to the next in qkv
    std::int64_t part;  ///< floats from Q to K and from K to V

    Head(const AttentionShape& shape, std::int64_t index)
        : n(index / shape.heads),
          h(index % shape.heads),
          row(3 * shape.heads * shape.width),
          part(shape.heads * shape.width) {}

    [[nodiscard]] std::int64_t qkv(const AttentionShape& s) const {
        return n * s.tokens * row + h * s.width;
    }

    [[nodiscard]] std::int64_t y(const AttentionShape& s) const {
        return n * s.tokens * part + h * s.width;
    }

    [[nodiscard]] std::int64_t weights(const AttentionShape& s) const {
        return (n * s.heads + h) * s.tokens * s.tokens;
    }
};

/// One thread's part of the scratch.
struct Scratch {
    float* turned;  ///< K or V as [width, padded tokens]
    float* block;   ///< kBlock rows of padded tokens

    Scratch(const AttentionShape& s, float* all) {
        const auto stride = padded(s.tokens);
        turned = all + omp_get_thread_num() * (s.width + kBlock) * stride;
        block = turned + s.width * stride;
    }
};

/// to [width, stride] = from [tokens, width] transposed, padded with zeros. It goes block by block
/// of tokens, which stay in the nearest cache while all their columns are read.
STARLING_INLINE void turn(
    const AttentionShape& s, const float* from, std::int64_t row, float* to, std::int64_t stride
) {
    for (std::int64_t begin = 0; begin < stride; begin += kLaneCount) {
        const auto count = std::min(kLaneCount, s.tokens - begin);
        const float* block = from + begin * row;
        for (std::int64_t w = 0; w < s.width; ++w) {
            float* line = to + w * stride + begin;
            for (std::int64_t t = 0; t < count; ++t) line[t] = block[t * row + w];
            for (auto t = count; t < kLaneCount; ++t) line[t] = 0.0F;
        }
    }
}

/// Turns scores of the first t + 1 tokens into weights, and writes zeros up to `end`.
STARLING_INLINE void causal_softmax(
    float scale, float* scores, float* weights, std::int64_t t, std::int64_t end
) {
    float top = scores[0];
#pragma omp simd reduction(max : top)
    for (std::int64_t i = 0; i <= t; ++i) top = scores[i] > top ? scores[i] : top;
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i <= t; ++i) {
        const float e = fast_exp(scale * (scores[i] - top));
        scores[i] = e;
        sum += e;
    }
    const float share = 1.0F / sum;
#pragma omp simd
    for (std::int64_t i = 0; i <= t; ++i) weights[i] = scores[i] * share;
    for (auto i = t + 1; i < end; ++i) weights[i] = 0.0F;
}

STARLING_INLINE void forward_head(
    const AttentionShape& s,
    const Head& head,
    const Scratch& scratch,
    const float* qkv,
    float* y,
    float* w
) {
    const float* q = qkv + head.qkv(s);
    const float* k = q + head.part;
    const float* v = k + head.part;
    float* out = y + head.y(s);
    float* weights = w + head.weights(s);
    const float scale = 1.0F / std::sqrt(static_cast<float>(s.width));
    const auto stride = padded(s.tokens);
    turn(s, k, head.row, scratch.turned, stride);
    for (std::int64_t begin = 0; begin < s.tokens; begin += kTileRows) {
        const auto end = std::min(s.tokens, begin + kTileRows);
        const auto rows = end - begin;
        float* band = weights + begin * s.tokens;
        const Left queries{q + begin * head.row, head.row, 1};
        const Right keys{scratch.turned, stride};
        small_product(rows, padded(end), queries, keys, s.width, {scratch.block, stride});
        for (auto t = begin; t < end; ++t) {
            const auto r = t - begin;
            causal_softmax(scale, scratch.block + r * stride, band + r * s.tokens, t, end);
        }
        const Target target{out + begin * head.part, head.part};
        small_product(rows, s.width, {band, s.tokens, 1}, {v, head.row}, end, target);
    }
}

/// slopes = scale * weights * (slopes - their weighted mean), along one row.
STARLING_INLINE void softmax_slopes(
    float scale, const float* weights, float* slopes, std::int64_t count
) {
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < count; ++i) sum += slopes[i] * weights[i];
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) slopes[i] = scale * weights[i] * (slopes[i] - sum);
}

/// What the backward pass of one head reads and writes.
struct Backward {
    const float* q;
    const float* k;
    const float* dout;
    const float* weights;
    float* dq;
    float* dk;
    float* dv;
};

/// One block of query rows: dQ of these, and their share of dK and dV.
STARLING_INLINE void backward_block(
    const AttentionShape& s,
    const Head& head,
    const Scratch& scratch,
    const Backward& b,
    std::int64_t begin,
    std::int64_t end
) {
    const float scale = 1.0F / std::sqrt(static_cast<float>(s.width));
    const auto stride = padded(s.tokens);
    for (auto at = begin; at < end; at += kTileRows) {
        const auto stop = std::min(end, at + kTileRows);
        float* band = scratch.block + (at - begin) * stride;
        const Left slopes{b.dout + at * head.part, head.part, 1};
        const Right values{scratch.turned, stride};
        small_product(stop - at, padded(stop), slopes, values, s.width, {band, stride});
        for (auto t = at; t < stop; ++t) {
            softmax_slopes(scale, b.weights + t * s.tokens, band + (t - at) * stride, stop);
        }
        const Target dq{b.dq + at * head.row, head.row};
        small_product(stop - at, s.width, {band, stride, 1}, {b.k, head.row}, stop, dq);
    }
    for (std::int64_t key = 0; key < end; key += kTileRows) {
        const auto rows = std::min(end - key, kTileRows);
        // Queries before a key do not see it. Within a band of queries, every row holds weights or
        // zeros up to the band's last key.
        const auto first = std::max(begin, key / kTileRows * kTileRows);
        const auto depth = end - first;
        const bool add = end < s.tokens;
        const Left weights{b.weights + first * s.tokens + key, 1, s.tokens};
        const Left slopes{scratch.block + (first - begin) * stride + key, 1, stride};
        const Right dout{b.dout + first * head.part, head.part};
        const Right queries{b.q + first * head.row, head.row};
        small_product(rows, s.width, weights, dout, depth, {b.dv + key * head.row, head.row, add});
        small_product(
            rows, s.width, slopes, queries, depth, {b.dk + key * head.row, head.row, add}
        );
    }
}

STARLING_INLINE void backward_head(
    const AttentionShape& s,
    const Head& head,
    const Scratch& scratch,
    const float* dy,
    const float* qkv,
    const float* w,
    float* dqkv
) {
    const float* q = qkv + head.qkv(s);
    float* dq = dqkv + head.qkv(s);
    const Backward b{
        q,
        q + head.part,
        dy + head.y(s),
        w + head.weights(s),
        dq,
        dq + head.part,
        dq + 2 * head.part};
    turn(s, q + 2 * head.part, head.row, scratch.turned, padded(s.tokens));
    // From the last block to the first: only the last one reaches all keys, so its products
    // overwrite dK and dV, and those of the other blocks add to them.
    for (auto begin = (s.tokens - 1) / kBlock * kBlock; begin >= 0; begin -= kBlock) {
        backward_block(s, head, scratch, b, begin, std::min(s.tokens, begin + kBlock));
    }
}

}  // namespace

std::size_t AttentionShape::scratch_elements() const {
    return static_cast<std::size_t>(threads * (width + kBlock) * padded(tokens));
}

void attention(
    const AttentionShape& shape, const float* qkv, float* y, float* weights, float* scratch
) {
    const auto count = shape.batch * shape.heads;
#pragma omp parallel for schedule(static) num_threads(shape.threads)
    for (std::int64_t i = 0; i < count; ++i) {
        const Scratch own(shape, scratch);
        vectorized<forward_head>(shape, Head(shape, i), own, qkv, y, weights);
    }
}

void attention_gradient(
    const AttentionShape& shape,
    const float* dy,
    const float* qkv,
    const float* weights,
    float* dqkv,
    float* scratch
) {
    const auto count = shape.batch * shape.heads;
#pragma omp parallel for schedule(static) num_threads(shape.threads)
    for (std::int64_t i = 0; i < count; ++i) {
        const Scratch own(shape, scratch);
        vectorized<backward_head>(shape, Head(shape, i), own, dy, qkv, weights, dqkv);
    }
}

}  // namespace starling::compute::cpu
