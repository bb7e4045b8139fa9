#pragma once

// Large pieces of memory that live as long as a plan, an optimizer or a store.

#include <cstddef>
#include <memory>

namespace starling::compute {

struct FreeBlock {
    void operator()(std::byte* bytes) const;
};

using Block = std::unique_ptr<std::byte[], FreeBlock>;

/// Returns zeros, aligned to kBlockAlignment. A block of 8 MiB or more asks the system for huge
/// pages: a step walks through all of the block, and with pages of 4 KiB the translation of
/// addresses takes a noticeable share of that time.
///
/// Errors    throws std::bad_alloc
/// Thread    any
[[nodiscard]] Block allocate_block(std::size_t bytes);

}  // namespace starling::compute
