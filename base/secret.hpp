#pragma once

// Comparing secrets.

#include <cstddef>
#include <string_view>

namespace starling {

/// Returns whether two texts are equal, in a time that depends on their lengths alone: a comparison that
/// ends at the first difference tells whoever measures it how much of a guess was right.
[[nodiscard]] inline bool equal_secrets(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    // Volatile, or a compiler may leave the loop early.
    volatile unsigned char differs = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        differs = static_cast<unsigned char>(
            differs | (static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]))
        );
    }
    return differs == 0;
}

}  // namespace starling
