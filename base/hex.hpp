#pragma once

// Identifiers from the digits in which files and people write them.

#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/ids.hpp"

namespace starling {

/// Returns the hash that 64 hexadecimal digits name; nothing for any other text.
template <class Tag>
[[nodiscard]] std::optional<Hash256<Tag>> hash_from_hex(std::string_view hex) {
    Hash256<Tag> id;
    if (hex.size() != 2 * id.bytes.size()) return std::nullopt;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
        const char* digits = hex.data() + 2 * i;
        const auto [rest, error] = std::from_chars(digits, digits + 2, id.bytes[i], 16);
        if (error != std::errc{} || rest != digits + 2) return std::nullopt;
    }
    return id;
}

}  // namespace starling
