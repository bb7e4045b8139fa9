#pragma once

// The objects in the arrays of one large JSON object, one at a time: {"images": [{...}, {...}], ...}.
// The text may have any size, since only one element of an array is in memory.

#include <functional>
#include <string_view>

#include "base/result.hpp"
#include "data/formats/byte_stream.hpp"

namespace starling::data {

inline constexpr std::size_t kJsonElementBytesMax = std::size_t{16} << 20U;

/// Takes the array's key, as it is written, and the text of one object in it, behind which
/// kJsonPadding bytes can be read. Both are valid until it returns.
using JsonElementVisit =
    std::function<Result<void>(std::string_view key, std::string_view element)>;

/// Calls `visit` for each object that lies directly in an array of the root object, in the order of
/// the text; its first failure ends the reading and is returned. All else is passed over: of it only
/// brackets and quotes are checked, so it is for `visit` to parse the elements.
///
/// Errors    BadFormat (the root is no object, brackets that do not match, something behind the end),
///           Truncated, Oversized (an element over kJsonElementBytesMax, 64 levels), those of the
///           stream; each names the stream and the byte
/// Thread    any
[[nodiscard]] Result<void> each_array_object(ByteStream& stream, const JsonElementVisit& visit);

}  // namespace starling::data
