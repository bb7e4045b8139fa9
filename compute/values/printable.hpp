#pragma once

// Names from files in messages of ours.

#include <string>
#include <string_view>

namespace starling::compute {

/// Returns an excerpt of a name (base/printable.hpp): its first 80 characters.
[[nodiscard]] std::string printable(std::string_view name);

}  // namespace starling::compute
