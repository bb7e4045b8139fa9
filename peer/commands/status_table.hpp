#pragma once

// Shows a peer's /status to people. The peer decides what its object contains; all of it is shown.

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace starling::peer {

/// Returns the object on one line.
/// Errors    BadFormat (the body is no object)
[[nodiscard]] Result<std::string> status_line(std::string_view body);

/// Returns the plain values as lines `name  value`, and then each array of objects as a table. The
/// columns of a table are the keys of its first row.
/// Errors    BadFormat (the body is no object)
[[nodiscard]] Result<std::string> status_table(std::string_view body);

}  // namespace starling::peer
