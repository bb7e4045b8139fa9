#pragma once

// Matrix products by OpenBLAS. OpenBLAS itself stays single-threaded; each of our threads calls it
// for its own part of the product.

#include <cstdint>
#include <string>

namespace starling::compute::cpu {

/// Keeps OpenBLAS to the calling thread, in the whole process.
void use_one_blas_thread();

/// Returns OpenBLAS's version, how it was built, and its threads.
[[nodiscard]] std::string blas_description();

/// Y [rows, columns] = op(A) [rows, depth] op(B) [depth, columns] + bias [columns], all row-major.
struct BlasProduct {
    int threads = 1;
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::int64_t depth = 0;
    bool swap_a = false;  ///< A lies as [depth, rows]
    bool swap_b = false;  ///< B lies as [columns, depth]
    bool relu = false;    ///< cuts Y below zero
};

/// `bias` may be nullptr.
void multiply(
    const BlasProduct& product, const float* a, const float* b, const float* bias, float* y
);

}  // namespace starling::compute::cpu
