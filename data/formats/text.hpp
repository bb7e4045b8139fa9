#pragma once

// Reads a UTF-8 file, plain or gzipped, as a text of characters. Each character becomes its number
// in the sorted vocabulary of the file, as in nanoGPT's character-level data sets.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace starling::data {

/// Largest content of one file, unpacked.
inline constexpr std::size_t kTextBytesMax = std::size_t{1} << 30U;

struct Text {
    std::string vocabulary;  ///< the distinct characters in UTF-8, in ascending order
    std::uint32_t symbols = 0;
    std::vector<std::uint16_t> tokens;  ///< each character's place in the vocabulary
    std::vector<std::string> notes;     ///< what was read in another way than it stands there
};

/// Reads the whole file. A byte order mark at the beginning is left out, and a line end of CR LF is
/// read as LF, as Python reads texts; both would be characters that the model has to learn.
/// Errors    NotFound, Io, Truncated, Corrupt, BadFormat (of the file); Usage (empty, not a regular
///           file, not UTF-8, a zero byte, more than 65,536 distinct characters), Oversized; each
///           names the file
[[nodiscard]] Result<Text> read_text(const std::filesystem::path& file);

}  // namespace starling::data
