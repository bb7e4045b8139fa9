#pragma once

// Text of strangers on a terminal, in a log, in JSON or on a page: of peers, and of files that somebody
// else has named. Whatever shows such text calls one of these.

#include <cstddef>
#include <string>
#include <string_view>

namespace starling {

/// Most characters that are shown of a stranger's text.
inline constexpr std::size_t kShownMax = 200;

/// Returns whether a byte is an ASCII control character, with which terminal escapes begin.
[[nodiscard]] constexpr bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Returns the text in valid UTF-8, with one `?` for each byte that is none and for each character that
/// moves the cursor, changes the direction of writing or cannot be seen: control characters (also
/// U+0080 to U+009F), line separators, bidirectional marks, zero-width characters, tags. The result is
/// one line and looks like what it is. It is meant for whole lines, so it does not shorten them.
[[nodiscard]] std::string printable(std::string_view text);

/// Returns printable() of the first characters of a text. `...` says that it had more.
[[nodiscard]] std::string excerpt(std::string_view text, std::size_t characters = kShownMax);

/// Returns an excerpt between double quotes, so that nobody takes it for words of ours. A double quote
/// inside becomes a single one.
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace starling
