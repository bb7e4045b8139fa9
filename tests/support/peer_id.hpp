#pragma once

#include <cstdint>

#include "base/ids.hpp"

namespace starling {

/// An id for a test, which no key stands behind.
inline PeerId peer_id(std::uint8_t n) {
    PeerId id;
    id.bytes[0] = n;
    return id;
}

}  // namespace starling
