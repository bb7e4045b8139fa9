#pragma once

// A peer's /status for the eyes. The object is the peer's to define; this shows whatever it says.

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace starling::peer {

/// Returns the object on one line. Errors BadFormat (not an object).
[[nodiscard]] Result<std::string> status_line(std::string_view body);

/// Returns plain values as `name  value` lines, then each array of objects as a table whose columns
/// are the keys of its first row. Errors BadFormat (not an object).
[[nodiscard]] Result<std::string> status_table(std::string_view body);

}  // namespace starling::peer
