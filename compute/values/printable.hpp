#pragma once

// Names from files in messages of ours.

#include <string>
#include <string_view>

namespace starling::compute {

/// Returns the first 80 bytes of a name, with '?' for each that is not printable ASCII.
[[nodiscard]] std::string printable(std::string_view name);

}  // namespace starling::compute
