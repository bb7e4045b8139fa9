#pragma once

// Text of strangers on a terminal: of peers, and of files that somebody else has named.

#include <cstddef>
#include <string>

namespace starling {

/// Returns whether a byte is an ASCII control character, with which terminal escapes begin.
[[nodiscard]] constexpr bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Returns the text with `?` for the bytes of control characters, those of Unicode's second set
/// (U+0080 to U+009F, in UTF-8) included. The result is one line and cannot move the cursor.
[[nodiscard]] inline std::string printable(std::string text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_control(text[i])) text[i] = '?';
        if (i == 0 || text[i - 1] != '\xc2') continue;
        if (static_cast<unsigned char>(text[i]) >= 0x80 &&
            static_cast<unsigned char>(text[i]) < 0xa0)
            text[i - 1] = text[i] = '?';
    }
    return text;
}

}  // namespace starling
