#include "data/tables/cell.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>

#include "data/tables/byte_word.hpp"

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

constexpr std::size_t kDigitsMax = 16;
constexpr std::array<double, kDigitsMax + 1> kTens{
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};

constexpr std::size_t kWord = sizeof(std::uint64_t);

/// Loads 1 to 8 characters and none beside them. The other bytes are 0.
std::uint64_t load(std::string_view text) {
    const auto* from = text.data();
    const auto size = text.size();
    if (size >= kWord / 2) {
        // Two halves that overlap say the same where they do.
        std::uint32_t first = 0;
        std::uint32_t last = 0;
        std::memcpy(&first, from, sizeof(first));
        std::memcpy(&last, from + size - sizeof(last), sizeof(last));
        return first | std::uint64_t{last} << (8 * (size - sizeof(last)));
    }
    const auto byte = [&](std::size_t at) {
        return std::uint64_t{static_cast<unsigned char>(from[at])} << (8 * at);
    };
    return byte(0) | byte(size / 2) | byte(size - 1);
}

/// Returns whether all eight are digits.
bool are_digits(std::uint64_t word) {
    constexpr auto kHigh = in_each_byte(0xf0);
    constexpr auto kZeros = in_each_byte('0');
    // Adding 6 takes '9' to the end of its sixteen, and what stands behind it into the next.
    return (word & kHigh) == kZeros && ((word + in_each_byte(0x06)) & kHigh) == kZeros;
}

/// Returns the number that eight digits are: neighbours become numbers of two digits, those of four, those of eight.
std::uint64_t number_of(std::uint64_t digits) {
    digits = (digits & in_each_byte(0x0f)) * (10 * 0x100 + 1) >> 8U;
    digits = (digits & 0x00ff00ff00ff00ffU) * (100 * 0x10000U + 1) >> 16U;
    return (digits & 0x0000ffff0000ffffU) * (10000 * 0x100000000U + 1) >> 32U;
}

/// read_short of 1 to 8 characters, without a branch for each: how long numbers are, nobody can foretell.
std::optional<double> read_word(std::string_view text) {
    const auto word = load(text);
    auto digits = text.size();
    std::size_t fraction = 0;
    auto packed = word;
    if (const auto points = marks(word, '.')) {
        const auto point = first_marked(points);
        const auto before = (std::uint64_t{1} << (8 * point)) - 1;
        packed = (word & before) | ((word >> 8U) & ~before);
        --digits;
        fraction = digits - point;
        if (digits == 0) return std::nullopt;
    }
    packed = packed << (8 * (kWord - digits)) | in_each_byte('0') >> (8 * (digits - 1)) >> 8U;
    if (!are_digits(packed)) return std::nullopt;
    return static_cast<double>(number_of(packed)) / kTens[fraction];
}

/// Reads digits with at most one point among them, exactly as std::from_chars does, which takes longer: a whole number below
/// 2^53 and a power of ten up to 10^22 are doubles, so their quotient is rounded once.
/// Returns nothing where that does not hold, or where there is anything else in the text.
/// Source    Clinger, "How to Read Floating Point Numbers Accurately", 1990, section 3
std::optional<double> read_short(std::string_view text) {
    constexpr std::uint64_t kExact = std::uint64_t{1} << 53U;
    if (text.empty() || text.size() > kDigitsMax + 1) return std::nullopt;
    if (text.size() <= kWord) return read_word(text);
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
