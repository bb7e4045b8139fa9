#include "data/tokens/pretokenizer.hpp"

#include <array>
#include <cstdint>
#include <utf8proc.h>

#include "data/utf8.hpp"

namespace starling::data {

namespace {

enum class Class : std::uint8_t { Other, Letter, Number, Space };

struct Character {
    Class kind = Class::Other;
    std::size_t bytes = 1;
};

/// Unicode's property White_Space.
constexpr bool is_space(char32_t point) {
    return (point >= 0x09 && point <= 0x0d) || point == 0x20 || point == 0x85 || point == 0xa0 ||
           point == 0x1680 || (point >= 0x2000 && point <= 0x200a) || point == 0x2028 ||
           point == 0x2029 || point == 0x202f || point == 0x205f || point == 0x3000;
}

constexpr Class class_of_ascii(unsigned char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) return Class::Letter;
    if (c >= '0' && c <= '9') return Class::Number;
    return is_space(c) ? Class::Space : Class::Other;
}

constexpr auto kAscii = [] {
    std::array<Class, 128> table{};
    for (unsigned char c = 0; c < table.size(); ++c) table[c] = class_of_ascii(c);
    return table;
}();

Class class_of(char32_t point) {
    if (is_space(point)) return Class::Space;
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(point))) {
        case UTF8PROC_CATEGORY_LU:
        case UTF8PROC_CATEGORY_LL:
        case UTF8PROC_CATEGORY_LT:
        case UTF8PROC_CATEGORY_LM:
        case UTF8PROC_CATEGORY_LO:
            return Class::Letter;
        case UTF8PROC_CATEGORY_ND:
        case UTF8PROC_CATEGORY_NL:
        case UTF8PROC_CATEGORY_NO:
            return Class::Number;
        default:
            return Class::Other;
    }
}

Character character_at(std::string_view text, std::size_t at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < kAscii.size()) return {kAscii[byte], 1};
    const auto character = utf8_at(text, at);
    if (!character) return {};
    return {class_of(character->point), character->bytes};
}

/// Returns the end of the contraction at `at`, or `at` if there is none.
std::size_t contraction_end(std::string_view text, std::size_t at) {
    const auto rest = text.substr(at + 1, 2);
    if (rest.empty()) return at;
    constexpr std::string_view kSingle = "stmd";
    if (kSingle.find(rest[0]) != std::string_view::npos) return at + 2;
    return rest == "re" || rest == "ve" || rest == "ll" ? at + 3 : at;
}

/// Returns the end of the characters of one class that begin at `at`, cut at `limit`.
std::size_t run_end(std::string_view text, std::size_t at, Class kind, std::size_t limit) {
    while (at < text.size() && at < limit) {
        const auto next = character_at(text, at);
        if (next.kind != kind) break;
        at += next.bytes;
    }
    return at;
}

/// The rules `\s+(?!\S)|\s+`: of spaces before something else, the last one stays for it.
std::size_t spaces_end(std::string_view text, std::size_t at, std::size_t limit) {
    std::size_t last = at;
    std::size_t end = at;
    while (end < text.size() && end < limit) {
        const auto next = character_at(text, end);
        if (next.kind != Class::Space) return last == at ? end : last;
        last = end;
        end += next.bytes;
    }
    return end;
}

}  // namespace

std::size_t word_end(std::string_view text, std::size_t at) {
    const std::size_t limit = at + kWordBytesMax;
    if (text[at] == '\'') {
        if (const auto end = contraction_end(text, at); end != at) return end;
    }
    std::size_t begin = at;
    if (text[at] == ' ' && at + 1 < text.size()) ++begin;
    const auto kind = character_at(text, begin).kind;
    if (kind == Class::Space) return spaces_end(text, at, limit);
    return run_end(text, begin, kind, limit);
}

}  // namespace starling::data
