#pragma once

// The encodings by the value that names them in settings and on the wire.

#include "gossip/config.hpp"
#include "gossip/encoding/encoding.hpp"

namespace starling::gossip {

/// Whether the partner's own values are needed to decode it.
[[nodiscard]] constexpr bool is_lattice(Encoding encoding) {
    return encoding == Encoding::Lattice8 || encoding == Encoding::Lattice4;
}

/// Returns the encoding, or null for a value that we do not know.
[[nodiscard]] const ChunkEncoding* find_encoding(Encoding encoding);

/// Returns the encoding if it is a plain one, else null.
[[nodiscard]] const PlainEncoding* find_plain_encoding(Encoding encoding);

}  // namespace starling::gossip
