#pragma once

// How a chunk travels. `raw` is what a ParameterVector holds, `wire` what a payload holds.
//
// What keeps the sum of both partners: each side adds coefficient * (other - own) of the two *wire*
// values, which both sides know, and the two deltas are exact negatives of each other whatever the
// encoding has lost (Moniqua subtracts its own quantized value for the same reason; Lu and De Sa,
// ICML 2020).

#include <cstddef>

#include "base/bytes.hpp"
#include "gossip/config.hpp"
#include "gossip/parameter_vector.hpp"

namespace starling::gossip {

struct Difference {
    /// False when a value of either side, or their difference, is not a finite number: the delta
    /// must not be applied.
    bool finite = true;
    double squared_distance = 0.0;  ///< ||theirs - mine||^2
    double squared_norm = 0.0;      ///< ||mine||^2
};

/// Thread    any: encodings have no state
class ChunkEncoding {
public:
    virtual ~ChunkEncoding() = default;

    [[nodiscard]] virtual Element element() const = 0;
    [[nodiscard]] virtual std::size_t wire_bytes(std::size_t elements) const = 0;

    /// True when wire and raw bytes are the same: a chunk is then read straight into its frame.
    [[nodiscard]] virtual bool wire_is_raw() const = 0;

    /// Requires  wire.size() == wire_bytes of raw's elements
    virtual void encode(ByteView raw, std::span<std::byte> wire) const = 0;

    /// Writes raw delta = coefficient * (theirs - mine), decoded, in one pass.
    ///
    /// Shapes    theirs, mine: equal wire size, any alignment; delta: the raw size; delta may be
    ///           the very bytes of `mine` when wire_is_raw()
    virtual Difference difference(
        ByteView theirs, ByteView mine, double coefficient, std::span<std::byte> delta
    ) const = 0;
};

/// Returns the encoding, or null for a value that we do not know.
[[nodiscard]] const ChunkEncoding* find_encoding(Encoding encoding);

}  // namespace starling::gossip
