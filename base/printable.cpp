#include "base/printable.hpp"

#include <algorithm>
#include <array>

namespace starling {

namespace {

/// The first character of a text: its code and how many bytes it has. No bytes: this is no UTF-8.
struct Character {
    char32_t code = 0;
    std::size_t bytes = 0;
};

constexpr char32_t kUnicodeLast = 0x10ffff;

Character first_character(std::string_view text) {
    const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
    char32_t code = lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80) return {};
        code = (code << 6U) | (byte(i) & 0x3fU);
    }
    // The shortest form is the only one; surrogates stand for nothing.
    constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < kLeast.at(length) || code > kUnicodeLast || surrogate) return {};
    return {code, length};
}

struct Range {
    char32_t first;
    char32_t last;
};

/// What a terminal obeys or nobody sees (Unicode's categories Cc, Cf, Zl and Zp, and letters without a
/// shape).
constexpr std::array kHidden{
    Range{0x00, 0x1f},
    Range{0x7f, 0x9f},
    Range{0xad, 0xad},  // soft hyphen
    Range{0x34f, 0x34f},
    Range{0x61c, 0x61c},    // Arabic letter mark
    Range{0x115f, 0x1160},  // fillers of Hangul
    Range{0x17b4, 0x17b5},
    Range{0x180b, 0x180f},
    Range{0x200b, 0x200f},  // zero width, marks of direction
    Range{0x2028, 0x202e},  // separators, embeddings and overrides
    Range{0x2060, 0x206f},  // joiners, isolates
    Range{0x3164, 0x3164},
    Range{0xfe00, 0xfe0f},  // variation selectors
    Range{0xfeff, 0xfeff},
    Range{0xffa0, 0xffa0},
    Range{0xfff0, 0xfffb},
    Range{0xfffe, 0xffff},
    Range{0x1bca0, 0x1bca3},
    Range{0x1d173, 0x1d17a},
    Range{0xe0000, kUnicodeLast},  // tags, private use
};

bool is_hidden(char32_t code) {
    return std::any_of(kHidden.begin(), kHidden.end(), [code](const Range& range) {
        return code >= range.first && code <= range.last;
    });
}

/// Appends the first character of `rest`, or its stand-in, and removes it there.
void show_one(std::string& shown, std::string_view& rest) {
    const auto next = first_character(rest);
    const bool visible = next.bytes > 0 && !is_hidden(next.code);
    const auto length = std::max<std::size_t>(next.bytes, 1);
    shown += visible ? rest.substr(0, length) : "?";
    rest.remove_prefix(length);
}

}  // namespace

std::string printable(std::string_view text) {
    std::string shown;
    shown.reserve(text.size());
    while (!text.empty()) {
        // A status of a thousand members is long, and nearly all of it is this.
        const auto run =
            std::find_if(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; });
        const auto plain = static_cast<std::size_t>(run - text.begin());
        shown += text.substr(0, plain);
        text.remove_prefix(plain);
        if (!text.empty()) show_one(shown, text);
    }
    return shown;
}

std::string excerpt(std::string_view text, std::size_t characters) {
    std::string shown;
    for (std::size_t count = 0; count < characters && !text.empty(); ++count) {
        show_one(shown, text);
    }
    return text.empty() ? shown : shown + "...";
}

std::string in_quotes(std::string_view text) {
    auto shown = excerpt(text);
    std::replace(shown.begin(), shown.end(), '"', '\'');
    return '"' + shown + '"';
}

}  // namespace starling
