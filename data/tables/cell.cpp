#include "data/tables/cell.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace starling::data {

namespace {

constexpr std::array<std::string_view, 8> kMissing{
    "?", "na", "n/a", "nan", "null", "inf", "infinity", "#n/a"};

constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

constexpr char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trimmed(std::string_view text) {
    constexpr auto kBlank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && kBlank(text.front())) text.remove_prefix(1);
    while (!text.empty() && kBlank(text.back())) text.remove_suffix(1);
    return text;
}

bool says_missing(std::string_view text) {
    if (text.front() == '+' || text.front() == '-') text.remove_prefix(1);
    return std::any_of(kMissing.begin(), kMissing.end(), [&](std::string_view word) {
        return std::equal(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) {
            return lower(a) == b;
        });
    });
}

}  // namespace

Cell read_cell(std::string_view text) {
    text = trimmed(text);
    if (text.empty()) return {};
    // Most cells of most tables are short whole numbers, which need no rounding.
    constexpr std::size_t kShort = 15;
    const bool negative = text.front() == '-';
    const auto digits = text.substr(negative || text.front() == '+' ? 1 : 0);
    if (!digits.empty() && digits.size() <= kShort) {
        std::int64_t whole = 0;
        std::size_t at = 0;
        for (; at < digits.size() && is_digit(digits[at]); ++at) {
            whole = 10 * whole + (digits[at] - '0');
        }
        if (at == digits.size()) {
            const auto value = static_cast<double>(whole);
            return {CellKind::Number, negative ? -value : value, text};
        }
    }
    if (!digits.empty() && (is_digit(digits.front()) || digits.front() == '.')) {
        double value = 0;
        const char* end = digits.data() + digits.size();
        const auto [read, error] = std::from_chars(digits.data(), end, value);
        if (read == end && error == std::errc::result_out_of_range) return {};
        if (read == end && error == std::errc{}) {
            return {CellKind::Number, negative ? -value : value, text};
        }
    }
    if (says_missing(text)) return {};
    return {CellKind::Word, 0, text};
}

Cell as_word(Cell cell, Numeral& numeral) {
    if (cell.kind != CellKind::Number || !cell.text.empty()) return cell;
    const auto end =
        std::to_chars(numeral.data(), numeral.data() + numeral.size(), cell.number).ptr;
    cell.text = {numeral.data(), static_cast<std::size_t>(end - numeral.data())};
    return cell;
}

}  // namespace starling::data
