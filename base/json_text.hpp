#pragma once

// JSON as text. Names of files, cells of tables and names of peers may be any bytes, and the library throws when it is to
// write what is not UTF-8. So nobody calls its dump() but this.

#include <string>

namespace starling {

/// Which characters stand for themselves.
enum class JsonCharacters { All, Ascii };

/// Returns a value as text; U+FFFD stands for what is not UTF-8. `Json` is nlohmann's json or ordered_json.
/// Thread    any (pure)
template <class Json>
[[nodiscard]] std::string json_text(
    const Json& value, JsonCharacters characters = JsonCharacters::All, int indent = -1
) {
    const bool ascii = characters == JsonCharacters::Ascii;
    return value.dump(indent, ' ', ascii, Json::error_handler_t::replace);
}

}  // namespace starling
