#include "data/formats/yolo.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace starling::data {

namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::uint32_t kLabelsMax = std::uint32_t{1} << 16U;

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Takes the next part off the front of `rest`, up to one of the separators.
std::string_view take(std::string_view& rest, std::string_view separators) {
    const auto end = std::min(rest.find_first_of(separators), rest.size());
    const auto part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    return error == std::errc{} && rest == end;
}

Result<YoloBox> read_box(std::string_view line, const std::string& where) {
    std::vector<std::string_view> words;
    while (!line.empty() && words.size() < 8) {
        const auto word = take(line, " \t");
        if (!word.empty()) words.push_back(word);
    }
    if (words.size() != 5 && words.size() != 6) {
        return fail(
            FaultCode::BadFormat,
            where + std::to_string(words.size()) + (words.size() == 8 ? " or more" : "") +
                " numbers, 5 are expected: class, centre x and y, width, height"
        );
    }
    YoloBox box;
    if (!read_number(words[0], box.label) || box.label >= kLabelsMax) {
        return fail(FaultCode::BadValue, where + "the class is no whole number below 65536");
    }
    double* const sides[] = {&box.x, &box.y, &box.width, &box.height};
    for (std::size_t i = 0; i < 4; ++i) {
        if (read_number(words[i + 1], *sides[i]) && std::abs(*sides[i]) < 1e6) continue;
        return fail(
            FaultCode::BadValue, where + "number " + std::to_string(i + 2) + " is no share"
        );
    }
    return box;
}

/// Returns a name without the quotes and the remark that YAML allows.
std::string plain(std::string_view text) {
    text = trimmed(text);
    const bool quoted = !text.empty() && (text[0] == '\'' || text[0] == '"');
    if (quoted) {
        const auto end = text.find(text[0], 1);
        return std::string(text.substr(1, end == std::string_view::npos ? end : end - 1));
    }
    return std::string(trimmed(text.substr(0, text.find(" #"))));
}

/// Adds a name, which may have its number in front.
Result<void> add_name(std::string_view item, bool numbered, std::vector<std::string>& names) {
    item = trimmed(item);
    if (item.empty()) return {};
    if (numbered) {
        std::size_t number = 0;
        if (!read_number(trimmed(take(item, ":")), number) || number != names.size()) {
            return fail(
                FaultCode::BadFormat,
                "names: number " + std::to_string(names.size()) + " is expected next"
            );
        }
    }
    if (names.size() == kLabelsMax) return fail(FaultCode::BadFormat, "names: more than 65536");
    names.push_back(plain(item));
    return {};
}

}  // namespace

Result<std::vector<YoloBox>> parse_yolo(std::string_view text) {
    std::vector<YoloBox> boxes;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto line = trimmed(take(text, "\n"));
        if (line.empty()) continue;
        const auto box = read_box(line, "line " + std::to_string(number) + ": ");
        if (!box) return box.error();
        boxes.push_back(*box);
    }
    return boxes;
}

Result<std::vector<std::string>> parse_yolo_names(std::string_view text) {
    std::vector<std::string> names;
    bool inside = false;
    while (!text.empty()) {
        auto line = take(text, "\n");
        if (!inside) {
            if (!line.starts_with("names:")) continue;
            inside = true;
            auto rest = trimmed(line.substr(6));
            if (rest.empty() || rest[0] == '#') continue;
            if (rest[0] != '[' && rest[0] != '{') {
                return fail(FaultCode::BadFormat, "names: a list is expected, as [cat, dog]");
            }
            // A list in brackets may go on over several lines.
            const bool numbered = rest[0] == '{';
            const auto begin = static_cast<std::size_t>(rest.data() - line.data());
            std::string list(line.substr(begin + 1));
            while (list.find_first_of("]}") == std::string::npos && !text.empty()) {
                list += " ";
                list += trimmed(take(text, "\n"));
            }
            list.resize(std::min(list.find_first_of("]}"), list.size()));
            std::string_view items = list;
            while (!items.empty()) {
                if (auto ok = add_name(take(items, ","), numbered, names); !ok) return ok.error();
            }
            return names;
        }
        const auto item = trimmed(line);
        if (item.empty() || item[0] == '#') continue;
        const bool dash = item.starts_with("-");
        if (!dash && kBlanks.find(line[0]) == std::string_view::npos) return names;
        auto ok = add_name(dash ? item.substr(1) : item, !dash, names);
        if (!ok) return ok.error();
    }
    return names;
}

}  // namespace starling::data
