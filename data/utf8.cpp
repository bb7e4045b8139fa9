#include "data/utf8.hpp"

namespace starling::data {

namespace {

/// The smallest code point of each length; a smaller one has a shorter form.
constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};

/// Returns the length of the sequence that starts with this byte; 0 if none starts with it.
std::size_t length_of(unsigned char first) {
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first < 0xe0) return 2;
    if (first >= 0xe0 && first < 0xf0) return 3;
    return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

}  // namespace

std::optional<Utf8Character> utf8_at(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const std::size_t length = length_of(byte(0));
    if (length == 0 || length > text.size() - at) return std::nullopt;
    if (length == 1) return Utf8Character{byte(0), 1};
    char32_t point = byte(0) & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80U) return std::nullopt;
        point = (point << 6U) | (byte(i) & 0x3fU);
    }
    const bool surrogate = point >= 0xd800 && point < 0xe000;
    if (point < kLeast[length] || point > 0x10ffff || surrogate) return std::nullopt;
    return Utf8Character{point, length};
}

void append_utf8(std::string& text, char32_t point) {
    const auto put = [&text](char32_t byte) { text.push_back(static_cast<char>(byte)); };
    if (point < 0x80) {
        put(point);
        return;
    }
    if (point < 0x800) {
        put(0xc0 | (point >> 6U));
    } else {
        if (point < 0x10000) {
            put(0xe0 | (point >> 12U));
        } else {
            put(0xf0 | (point >> 18U));
            put(0x80 | ((point >> 12U) & 0x3fU));
        }
        put(0x80 | ((point >> 6U) & 0x3fU));
    }
    put(0x80 | (point & 0x3fU));
}

std::optional<std::vector<char32_t>> utf8_points(std::string_view text) {
    std::vector<char32_t> points;
    for (std::size_t at = 0; at < text.size();) {
        const auto character = utf8_at(text, at);
        if (!character) return std::nullopt;
        points.push_back(character->point);
        at += character->bytes;
    }
    return points;
}

}  // namespace starling::data
