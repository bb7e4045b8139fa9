#include "data/tables/cell.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>

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

/// Reads digits with at most one point among them, exactly as std::from_chars does, which takes longer: a whole number below
/// 2^53 and a power of ten up to 10^22 are doubles, so their quotient is rounded once.
/// Returns nothing where that does not hold, or where there is anything else in the text.
/// Source    Clinger, "How to Read Floating Point Numbers Accurately", 1990, section 3
std::optional<double> read_short(std::string_view text) {
    constexpr std::size_t kDigitsMax = 16;
    constexpr std::uint64_t kExact = std::uint64_t{1} << 53U;
    constexpr std::array<double, kDigitsMax + 1> kTens{
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};
    if (text.size() > kDigitsMax + 1) return std::nullopt;
    std::uint64_t whole = 0;
    std::size_t at = 0;
    for (; at < text.size() && is_digit(text[at]); ++at) {
        whole = 10 * whole + static_cast<std::uint64_t>(text[at] - '0');
    }
    if (at == text.size()) {
        if (at == 0 || whole > kExact) return std::nullopt;
        return static_cast<double>(whole);
    }
    if (text[at] != '.' || text.size() == 1) return std::nullopt;
    const auto point = at++;
    for (; at < text.size() && is_digit(text[at]); ++at) {
        whole = 10 * whole + static_cast<std::uint64_t>(text[at] - '0');
    }
    if (at < text.size() || whole > kExact) return std::nullopt;
    return static_cast<double>(whole) / kTens[at - point - 1];
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
    const bool negative = text.front() == '-';
    const auto digits = text.substr(negative || text.front() == '+' ? 1 : 0);
    if (const auto value = read_short(digits)) {
        return {CellKind::Number, negative ? -*value : *value, text};
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
