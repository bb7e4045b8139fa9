#include "data/formats/json.hpp"

#include <array>
#include <simdjson.h>

namespace starling::data {

namespace {

using simdjson::dom::element_type;

static_assert(kJsonPadding >= simdjson::SIMDJSON_PADDING);

using Numbers = std::array<double, kJsonNumbersMax>;

/// Returns the numbers of an array that has nothing else, and not many.
std::span<const double> numbers_of(const simdjson::dom::element& element, Numbers& numbers) {
    std::size_t count = 0;
    // The result that holds the array must outlive the loop.
    const simdjson::dom::array array = element.get_array().value_unsafe();
    for (const auto item : array) {
        if (count == numbers.size() || item.get_double().get(numbers[count]) != simdjson::SUCCESS) {
            return {};
        }
        ++count;
    }
    return std::span(numbers).first(count);
}

JsonValue value_of(const simdjson::dom::element& element, Numbers& numbers) {
    JsonValue value;
    switch (element.type()) {
        case element_type::NULL_VALUE:
            break;
        case element_type::BOOL:
            value.kind = JsonKind::Boolean;
            value.number = bool(element.get_bool().value_unsafe()) ? 1 : 0;
            break;
        case element_type::INT64:
        case element_type::UINT64:
        case element_type::DOUBLE:
            value.kind = JsonKind::Number;
            value.number = element.get_double().value_unsafe();
            break;
        case element_type::STRING:
            value.kind = JsonKind::Text;
            value.text = element.get_string().value_unsafe();
            break;
        case element_type::ARRAY:
            value.kind = JsonKind::Nested;
            value.numbers = numbers_of(element, numbers);
            break;
        default:
            value.kind = JsonKind::Nested;
            break;
    }
    return value;
}

}  // namespace

struct JsonParser::Library {
    explicit Library(std::size_t bytes) : parser(bytes), bytes_max(bytes) {}

    simdjson::dom::parser parser;
    std::size_t bytes_max;
    Numbers numbers{};
};

JsonParser::JsonParser(std::size_t bytes_max) : library_(std::make_unique<Library>(bytes_max)) {}

JsonParser::JsonParser(JsonParser&&) noexcept = default;
JsonParser& JsonParser::operator=(JsonParser&&) noexcept = default;
JsonParser::~JsonParser() = default;

Result<void> JsonParser::object(std::string_view text, const Visit& visit) {
    if (text.size() > library_->bytes_max) {
        return fail(
            FaultCode::Oversized,
            "the JSON text has more than " + std::to_string(library_->bytes_max) + " bytes"
        );
    }
    simdjson::dom::element root;
    if (const auto error = library_->parser.parse(text.data(), text.size(), false).get(root)) {
        return fail(
            FaultCode::BadFormat, std::string("not JSON: ") + simdjson::error_message(error)
        );
    }
    simdjson::dom::object fields;
    if (root.get_object().get(fields) != simdjson::SUCCESS) {
        return fail(FaultCode::BadFormat, "not a JSON object; it must begin with {");
    }
    for (const auto field : fields) {
        if (auto seen = visit(field.key, value_of(field.value, library_->numbers)); !seen)
            return seen;
    }
    return {};
}

}  // namespace starling::data
