#include "compute/values/memory_plan.hpp"

#include <algorithm>
#include <numeric>

namespace starling::compute {

namespace {

std::size_t round_up(std::size_t bytes) {
    return (bytes + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment;
}

}  // namespace

Placement place(const std::vector<Lifetime>& lifetimes) {
    std::vector<std::size_t> order(lifetimes.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return lifetimes[a].bytes > lifetimes[b].bytes;
    });
    Placement placement;
    placement.offsets.assign(lifetimes.size(), 0);
    std::vector<std::size_t> placed;  // by rising offset
    for (const auto index : order) {
        const auto& block = lifetimes[index];
        const auto size = round_up(block.bytes);
        std::size_t offset = 0;
        for (const auto other : placed) {
            const auto& life = lifetimes[other];
            if (life.last < block.first || block.last < life.first) continue;
            if (offset + size <= placement.offsets[other]) break;
            offset = std::max(offset, placement.offsets[other] + round_up(life.bytes));
        }
        placement.offsets[index] = offset;
        placement.bytes = std::max(placement.bytes, offset + size);
        const auto at = std::upper_bound(
            placed.begin(),
            placed.end(),
            offset,
            [&](std::size_t value, std::size_t other) { return value < placement.offsets[other]; }
        );
        placed.insert(at, index);
    }
    return placement;
}

}  // namespace starling::compute
