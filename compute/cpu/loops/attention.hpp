#pragma once

// Causal attention, one head at a time, in bands of a few query rows. A band needs only the keys up
// to its last row, which saves nearly half of the products. The data of one head stay in the cache.

#include <cstddef>
#include <cstdint>

namespace starling::compute::cpu {

struct AttentionShape {
    int threads = 1;
    std::int64_t batch = 0;
    std::int64_t tokens = 0;
    std::int64_t heads = 0;
    std::int64_t width = 0;  ///< of one head

    /// Returns the floats of scratch that each function needs.
    [[nodiscard]] std::size_t scratch_elements() const;
};

/// Shapes    qkv [N,T,3 heads width], y [N,T,heads width], weights [N,heads,T,T], of which only the
///           triangle and a few zeros beside it are written
void attention(
    const AttentionShape& shape, const float* qkv, float* y, float* weights, float* scratch
);

void attention_gradient(
    const AttentionShape& shape,
    const float* dy,
    const float* qkv,
    const float* weights,
    float* dqkv,
    float* scratch
);

}  // namespace starling::compute::cpu
