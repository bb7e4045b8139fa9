#include "compute/cpu/library/blas.hpp"

#include <algorithm>
#include <cblas.h>

#include "base/simd.hpp"

namespace starling::compute::cpu {

namespace {

/// Rows of A and columns of B that one thread multiplies.
struct Part {
    std::int64_t row = 0;
    std::int64_t rows = 0;
    std::int64_t column = 0;
    std::int64_t columns = 0;
};

/// Cuts the longer side, in whole registers.
Part part_of(const BlasProduct& p, int index) {
    constexpr std::int64_t kLanes = 16;
    const bool tall = p.rows >= p.columns;
    const auto length = tall ? p.rows : p.columns;
    const auto share = ((length + p.threads - 1) / p.threads + kLanes - 1) / kLanes * kLanes;
    const auto begin = std::min(length, index * share);
    const auto count = std::min(length, begin + share) - begin;
    return tall ? Part{begin, count, 0, p.columns} : Part{0, p.rows, begin, count};
}

STARLING_INLINE void relu_row(float* y, std::int64_t count) {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) y[i] = y[i] > 0.0F ? y[i] : 0.0F;
}

void multiply_part(
    const BlasProduct& p,
    const Part& part,
    const float* a,
    const float* b,
    const float* bias,
    float* y
) {
    float* to = y + part.row * p.columns + part.column;
    for (std::int64_t r = 0; bias != nullptr && r < part.rows; ++r) {
        std::copy_n(bias + part.column, part.columns, to + r * p.columns);
    }
    const auto size = [](std::int64_t count) { return static_cast<blasint>(count); };
    cblas_sgemm(
        CblasRowMajor,
        p.swap_a ? CblasTrans : CblasNoTrans,
        p.swap_b ? CblasTrans : CblasNoTrans,
        size(part.rows),
        size(part.columns),
        size(p.depth),
        1.0F,
        a + (p.swap_a ? part.row : part.row * p.depth),
        size(p.swap_a ? p.rows : p.depth),
        b + (p.swap_b ? part.column * p.depth : part.column),
        size(p.swap_b ? p.depth : p.columns),
        bias == nullptr ? 0.0F : 1.0F,
        to,
        size(p.columns)
    );
    for (std::int64_t r = 0; p.relu && r < part.rows; ++r) {
        vectorized<relu_row>(to + r * p.columns, part.columns);
    }
}

}  // namespace

void use_one_blas_thread() {
    openblas_set_num_threads(1);
}

std::string blas_description() {
    return openblas_get_config() + std::string(" threads ") +
           std::to_string(openblas_get_num_threads());
}

void multiply(
    const BlasProduct& product, const float* a, const float* b, const float* bias, float* y
) {
#pragma omp parallel for schedule(static) num_threads(product.threads)
    for (int index = 0; index < product.threads; ++index) {
        const auto part = part_of(product, index);
        if (part.rows > 0 && part.columns > 0) multiply_part(product, part, a, b, bias, y);
    }
}

}  // namespace starling::compute::cpu
