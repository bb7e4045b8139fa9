#pragma once

// Products of matrices that a library may do in place of our kernel: what it has to know of one, and
// the choice between the two, by measuring.

#include <cstdint>

#include "compute/device/device_span.hpp"

namespace starling::compute::gpu {

/// y = a b for each of `batches` products of row-major f32 matrices; y's lie one behind the other.
struct LibraryShape {
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::int64_t depth = 0;
    std::int64_t batches = 1;
    bool a_turned = false;    ///< lies as [depth, rows]
    bool b_turned = false;    ///< lies as [columns, depth]
    std::int64_t a_step = 0;  ///< from one batch's matrix to the next
    std::int64_t b_step = 0;
    bool biased = false;  ///< our own kernel adds the bias and cuts, in a second pass
    bool cut = false;

    auto operator<=>(const LibraryShape&) const = default;
};

struct LibraryProduct {
    struct Place {
        DeviceMemory* memory = nullptr;
        std::int64_t offset = 0;  ///< in floats
    };

    LibraryShape shape;
    Place a;
    Place b;
    Place y;
};

}  // namespace starling::compute::gpu
