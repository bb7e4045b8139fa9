#pragma once

// The place of each temporary of a step in the activation arena. Temporaries whose lives do not
// overlap share bytes.

#include <cstddef>
#include <vector>

namespace starling::compute {

/// Alignment of every block in bytes: a cache line, as wide as the widest vector register.
inline constexpr std::size_t kBlockAlignment = 64;

/// One temporary, alive from kernel `first` to kernel `last`, both included.
struct Lifetime {
    std::size_t bytes = 0;
    std::size_t first = 0;
    std::size_t last = 0;
};

struct Placement {
    std::vector<std::size_t> offsets;  ///< one per lifetime
    std::size_t bytes = 0;             ///< of the whole arena
};

/// Places large blocks first, each at the lowest offset where no block of an overlapping life lies.
///
/// Ensures   two blocks with a common kernel never overlap; offsets are multiples of
///           kBlockAlignment
/// Source    greedy by size: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
///           Inference" (arXiv 2001.03288), section 5.2; we take the lowest gap that fits rather
///           than the smallest
[[nodiscard]] Placement place(const std::vector<Lifetime>& lifetimes);

}  // namespace starling::compute
