#pragma once

// Bytes with several owners, wherever they lie: in memory, or in a file that is mapped.

#include <memory>
#include <utility>

#include "base/bytes.hpp"

namespace starling {

/// Thread    any; the bytes do not change
struct SharedBytes {
    ByteView view;
    std::shared_ptr<const void> owner;  ///< keeps the bytes alive; null: there are none
    bool mapped = false;                ///< they lie in a file, and the system may drop their pages

    explicit operator bool() const { return owner != nullptr; }
};

/// Returns bytes that lie in memory.
[[nodiscard]] inline SharedBytes share(Bytes bytes) {
    auto owner = std::make_shared<const Bytes>(std::move(bytes));
    const ByteView view = *owner;
    return {view, std::move(owner), false};
}

}  // namespace starling
