#pragma once

// One JSON object with its fields, for files of strangers. Nested values are recognised and not
// entered, but for short arrays of numbers. The library (simdjson) checks the whole text: UTF-8, numbers, strings and braces.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace starling::data {

/// How many bytes behind a JSON text must be readable; what they are does not matter.
inline constexpr std::size_t kJsonPadding = 64;

enum class JsonKind { Null, Boolean, Number, Text, Nested };

inline constexpr std::size_t kJsonNumbersMax = 8;

/// One value of an object. `text` and `numbers` are valid until the parser's next call.
struct JsonValue {
    JsonKind kind = JsonKind::Null;
    double number = 0;                ///< of a number; 0 or 1 of a boolean
    std::string_view text;            ///< of a text, in UTF-8
    std::span<const double> numbers;  ///< of an array of up to kJsonNumbersMax numbers
};

class JsonParser {
public:
    using Visit = std::function<Result<void>(std::string_view name, const JsonValue& value)>;

    /// A parser for texts of up to so many bytes. Its memory grows with the longest text read.
    explicit JsonParser(std::size_t bytes_max);
    JsonParser(JsonParser&&) noexcept;
    JsonParser& operator=(JsonParser&&) noexcept;
    JsonParser(const JsonParser&) = delete;
    JsonParser& operator=(const JsonParser&) = delete;
    ~JsonParser();

    /// Calls `visit` for each field of the object in order of the text; the first failure of `visit`
    /// ends the reading and is returned. Messages do not name the source.
    ///
    /// Requires  kJsonPadding bytes behind `text` can be read
    /// Errors    BadFormat (not JSON, or not an object), Oversized
    /// Thread    any, one at a time
    [[nodiscard]] Result<void> object(std::string_view text, const Visit& visit);

private:
    struct Library;

    std::unique_ptr<Library> library_;
};

}  // namespace starling::data
