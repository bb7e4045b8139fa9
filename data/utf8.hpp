#pragma once

// The characters of a text. UTF-8 is read strictly, one code point at a time.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace starling::data {

/// One character and the bytes that it takes.
struct Utf8Character {
    char32_t point = 0;
    std::size_t bytes = 0;
};

/// Returns the character at `at`, or none if the bytes there are not UTF-8: a stray or missing
/// continuation, a longer form than needed, a surrogate, a number beyond U+10FFFF.
/// Requires  at < text.size()
/// Source    Unicode 15, table 3-7, "Well-Formed UTF-8 Byte Sequences"
[[nodiscard]] std::optional<Utf8Character> utf8_at(std::string_view text, std::size_t at);

void append_utf8(std::string& text, char32_t point);

/// Returns all code points, or none if the text is not UTF-8 throughout.
[[nodiscard]] std::optional<std::vector<char32_t>> utf8_points(std::string_view text);

}  // namespace starling::data
