#pragma once

// GPT-2's rule that cuts a text into words before pairs are merged: pairs never cross a word's end.
//
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

#include <cstddef>
#include <string_view>

namespace starling::data {

/// A longer word is cut here, at the end of a character: the original has no limit, but would then need
/// memory for a whole file without a space.
inline constexpr std::size_t kWordBytesMax = std::size_t{1} << 16U;

/// How far behind a word's end one must see to know that it is its end: one character.
inline constexpr std::size_t kWordLookahead = 4;

/// Returns the end of the word that begins at `at`. A byte that is not UTF-8 counts as a character that
/// is neither letter, number nor space.
///
/// Requires  at < text.size()
/// Ensures   the result would be the same with more text behind it, if at least kWordLookahead bytes
///           of this text lie behind it
/// Errors    none
/// Thread    any (pure)
/// Source    openai/gpt-2, src/encoder.py. Classes of letters are those of the Unicode version of the
///           installed utf8proc; libraries of other versions differ in letters that came later.
[[nodiscard]] std::size_t word_end(std::string_view text, std::size_t at);

}  // namespace starling::data
