#include "compute/cpu/loops_attention.hpp"

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <omp.h>

#include "compute/cpu/fast_math.hpp"

namespace starling::compute::cpu {

namespace {

constexpr std::int64_t kBlock = 64;

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

struct Matrix {
    const float* data;
    std::int64_t stride;
    bool swapped = false;
};

/// c [m,n] = alpha a [m,k] b [k,n] + beta c.
void product(
    std::int64_t m,
    std::int64_t n,
    std::int64_t k,
    float alpha,
    const Matrix& a,
    const Matrix& b,
    float beta,
    float* c,
    std::int64_t stride
) {
    cblas_sgemm(
        CblasRowMajor,
        a.swapped ? CblasTrans : CblasNoTrans,
        b.swapped ? CblasTrans : CblasNoTrans,
        static_cast<int>(m),
        static_cast<int>(n),
        static_cast<int>(k),
        alpha,
        a.data,
        static_cast<int>(a.stride),
        b.data,
        static_cast<int>(b.stride),
        beta,
        c,
        static_cast<int>(stride)
    );
}

/// Turns row t of scores into weights of the first t + 1 tokens, and zeros up to `end`.
void causal_softmax(float* row, std::int64_t t, std::int64_t end) {
    const float top = *std::max_element(row, row + t + 1);
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i <= t; ++i) {
        const float e = fast_exp(row[i] - top);
        row[i] = e;
        sum += e;
    }
    const float share = 1.0F / sum;
    for (std::int64_t i = 0; i <= t; ++i) row[i] *= share;
    std::fill(row + t + 1, row + end, 0.0F);
}

void forward_head(const AttentionShape& s, const Head& head, const float* qkv, float* y, float* w) {
    const float* q = qkv + head.qkv(s);
    const float* k = q + head.part;
    const float* v = k + head.part;
    float* out = y + head.y(s);
    float* weights = w + head.weights(s);
    const float scale = 1.0F / std::sqrt(static_cast<float>(s.width));
    for (std::int64_t begin = 0; begin < s.tokens; begin += kBlock) {
        const auto end = std::min(s.tokens, begin + kBlock);
        const auto rows = end - begin;
        float* block = weights + begin * s.tokens;
        product(
            rows,
            end,
            s.width,
            scale,
            {q + begin * head.row, head.row},
            {k, head.row, true},
            0.0F,
            block,
            s.tokens
        );
        for (auto t = begin; t < end; ++t) causal_softmax(weights + t * s.tokens, t, end);
        product(
            rows,
            s.width,
            end,
            1.0F,
            {block, s.tokens},
            {v, head.row},
            0.0F,
            out + begin * head.part,
            head.part
        );
    }
}

void backward_head(
    const AttentionShape& s,
    const Head& head,
    const float* dy,
    const float* qkv,
    const float* w,
    float* dqkv,
    float* slopes
) {
    const float* q = qkv + head.qkv(s);
    const float* k = q + head.part;
    const float* v = k + head.part;
    const float* dout = dy + head.y(s);
    const float* weights = w + head.weights(s);
    float* dq = dqkv + head.qkv(s);
    float* dk = dq + head.part;
    float* dv = dk + head.part;
    const float scale = 1.0F / std::sqrt(static_cast<float>(s.width));
    // From the last block to the first: it alone reaches all keys, so its products overwrite and
    // those of the others add.
    const auto last = (s.tokens - 1) / kBlock * kBlock;
    for (auto begin = last; begin >= 0; begin -= kBlock) {
        const auto end = std::min(s.tokens, begin + kBlock);
        const auto rows = end - begin;
        const float beta = begin == last ? 0.0F : 1.0F;
        const float* block = weights + begin * s.tokens;
        const float* dblock = dout + begin * head.part;
        product(
            rows,
            end,
            s.width,
            1.0F,
            {dblock, head.part},
            {v, head.row, true},
            0.0F,
            slopes,
            s.tokens
        );
        product(
            end,
            s.width,
            rows,
            1.0F,
            {block, s.tokens, true},
            {dblock, head.part},
            beta,
            dv,
            head.row
        );
        for (std::int64_t r = 0; r < rows; ++r) {
            float* slope = slopes + r * s.tokens;
            const float* weight = block + r * s.tokens;
            float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
            for (std::int64_t i = 0; i < end; ++i) sum += slope[i] * weight[i];
#pragma omp simd
            for (std::int64_t i = 0; i < end; ++i) slope[i] = scale * weight[i] * (slope[i] - sum);
        }
        product(
            rows,
            s.width,
            end,
            1.0F,
            {slopes, s.tokens},
            {k, head.row},
            0.0F,
            dq + begin * head.row,
            head.row
        );
        product(
            end,
            s.width,
            rows,
            1.0F,
            {slopes, s.tokens, true},
            {q + begin * head.row, head.row},
            beta,
            dk,
            head.row
        );
    }
}

}  // namespace

std::size_t AttentionShape::scratch_elements() const {
    return static_cast<std::size_t>(threads * std::min(kBlock, tokens) * tokens);
}

void attention(const AttentionShape& shape, const float* qkv, float* y, float* weights) {
    const auto count = shape.batch * shape.heads;
#pragma omp parallel for schedule(static) num_threads(shape.threads)
    for (std::int64_t i = 0; i < count; ++i) {
        forward_head(shape, Head(shape, i), qkv, y, weights);
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
    const auto share = std::min(kBlock, shape.tokens) * shape.tokens;
#pragma omp parallel for schedule(static) num_threads(shape.threads)
    for (std::int64_t i = 0; i < count; ++i) {
        float* own = scratch + omp_get_thread_num() * share;
        backward_head(shape, Head(shape, i), dy, qkv, weights, dqkv, own);
    }
}

}  // namespace starling::compute::cpu
