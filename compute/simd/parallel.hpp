#pragma once

// Divides our own loops among the OpenMP threads, which oneDNN uses, too.

#include <algorithm>
#include <cstddef>

namespace starling::compute {

/// Below this many elements a loop is cheaper than waking a thread.
inline constexpr std::size_t kParallelElementsMin = std::size_t{16} * 1024;

/// Calls body(begin, end) for disjoint ranges that cover [0, count) and begin at multiples of 64,
/// each on its own thread.
template <class Body>
void parallel_ranges(int threads, std::size_t count, const Body& body) {
    if (threads == 1 || count < kParallelElementsMin) {
        body(std::size_t{0}, count);
        return;
    }
    const auto parts = static_cast<std::size_t>(threads);
    const std::size_t share = ((count + parts - 1) / parts + 63) / 64 * 64;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::size_t part = 0; part < parts; ++part) {
        const std::size_t begin = std::min(count, part * share);
        const std::size_t end = std::min(count, begin + share);
        if (begin < end) body(begin, end);
    }
}

}  // namespace starling::compute
