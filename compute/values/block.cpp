#include "compute/values/block.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "compute/values/memory_plan.hpp"

namespace starling::compute {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20U;

}  // namespace

void FreeBlock::operator()(std::byte* bytes) const {
    std::free(bytes);  // NOLINT(cppcoreguidelines-no-malloc) the pair of aligned_alloc
}

Block allocate_block(std::size_t bytes) {
    // A block of only a few huge pages would waste half of the last one, on average.
    const bool large = bytes >= 4 * kHugePage;
    const auto alignment = large ? kHugePage : kBlockAlignment;
    const auto rounded = (std::max(bytes, kBlockAlignment) + alignment - 1) / alignment * alignment;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
    if (memory == nullptr) throw std::bad_alloc();
    Block block(memory);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    // The system may ignore this advice; the block is then only slower.
    if (large) (void)::madvise(memory, rounded, MADV_HUGEPAGE);
#endif
    std::memset(memory, 0, bytes);
    return block;
}

}  // namespace starling::compute
