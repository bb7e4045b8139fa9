// Goal: no text crashes the reader of schema files, and what it accepts is written and read again as the same schema.
// Method: the input is the file.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "peer/terms/schema_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling;  // NOLINT(google-build-using-namespace)
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto first = peer::parse_schema(text);
    if (!first.has_value()) return 0;
    const auto second = peer::parse_schema(peer::schema_text(*first));
    const bool same =
        second.has_value() && data::encode_manifest(*second) == data::encode_manifest(*first);
    if (!same) std::abort();
    return 0;
}
