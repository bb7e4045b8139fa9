#include "data/formats/voc.hpp"

#include <charconv>
#include <cmath>
#include <pugixml.hpp>
#include <string_view>

#include "base/printable.hpp"

namespace starling::data {

namespace {

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

Result<double> corner(const pugi::xml_node& box, const char* name, const std::string& where) {
    const auto text = trimmed(box.child_value(name));
    double value = 0.0;
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc{} && rest == end && std::isfinite(value)) return value;
    return fail(
        FaultCode::BadValue,
        where + ": " + name + " is '" + printable(std::string(text.substr(0, 32))) +
            "', a number is expected"
    );
}

Result<VocObject> read_object(const pugi::xml_node& node, std::size_t number) {
    const auto where = "object " + std::to_string(number);
    VocObject object;
    object.name = std::string(trimmed(node.child_value("name")));
    if (object.name.empty()) return fail(FaultCode::BadFormat, where + ": it has no name");
    const auto box = node.child("bndbox");
    if (!box) return fail(FaultCode::BadFormat, where + ": it has no bndbox");

    struct Side {
        const char* name;
        double* value;
    };

    const Side sides[] = {
        {"xmin", &object.left},
        {"ymin", &object.top},
        {"xmax", &object.right},
        {"ymax", &object.bottom}};
    for (const auto& side : sides) {
        const auto value = corner(box, side.name, where);
        if (!value) return value.error();
        *side.value = *value;
    }
    object.difficult = trimmed(node.child_value("difficult")) == "1";
    return object;
}

}  // namespace

Result<std::vector<VocObject>> parse_voc(ByteView bytes) {
    if (bytes.size() > kVocBytesMax) {
        return fail(FaultCode::Oversized, "an annotation of over 4 MiB");
    }
    pugi::xml_document document;
    const auto parsed = document.load_buffer(bytes.data(), bytes.size());
    if (!parsed) {
        return fail(
            FaultCode::BadFormat,
            "not XML: " + std::string(parsed.description()) + " at byte " +
                std::to_string(parsed.offset)
        );
    }
    const auto root = document.child("annotation");
    if (!root) return fail(FaultCode::BadFormat, "it has no annotation");
    std::vector<VocObject> objects;
    for (const auto& node : root.children("object")) {
        auto object = read_object(node, objects.size() + 1);
        if (!object) return object.error();
        objects.push_back(std::move(*object));
    }
    return objects;
}

}  // namespace starling::data
