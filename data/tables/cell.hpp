#pragma once

// What one cell of a table says: a number, a word, or that the value is missing.

#include <array>
#include <string_view>

namespace starling::data {

enum class CellKind { Missing, Number, Word };

struct Cell {
    CellKind kind = CellKind::Missing;
    double number = 0;      ///< finite
    std::string_view text;  ///< without spaces around it
};

/// Reads a cell. Missing are: nothing, `?`, NA, N/A, NaN, null, inf, infinity (with a sign, in capitals
/// or not), and numbers that a double cannot hold. A decimal point is a point, in every locale.
///
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] Cell read_cell(std::string_view text);

using Numeral = std::array<char, 32>;

/// Gives a number that has no text one, the shortest that means it: among words a number is a word, too.
/// `numeral` holds the text.
[[nodiscard]] Cell as_word(Cell cell, Numeral& numeral);

}  // namespace starling::data
