#pragma once

#include <cstdint>

namespace starling::peer {

/// How a peer starts, and so where its parameters come from.
enum class Start : std::uint8_t { Found, Join, Resume };

}  // namespace starling::peer
