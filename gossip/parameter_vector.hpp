#pragma once

// What averaging knows about parameters: a list of chunks whose elements can be read and added to.
// peer/ adapts the compute arena (f32); simulations bring exact 64-bit integers.

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace starling::gossip {

enum class Element : std::uint8_t { F32 = 0, I64 = 1 };

/// Bytes of one element.
[[nodiscard]] constexpr std::size_t element_size(Element element) {
    return element == Element::F32 ? 4 : 8;
}

/// A chunk has at most 64 Ki elements, so a payload frame is at most 256 KiB of f32.
inline constexpr std::size_t kChunkElementsMax = std::size_t{64} * 1024;

/// Thread    network; the implementation may share chunks with a trainer behind per-chunk locks,
///           and therefore may decline: a declined call changed nothing and is tried again later
class ParameterVector {
public:
    virtual ~ParameterVector() = default;

    [[nodiscard]] virtual Element element() const = 0;
    [[nodiscard]] virtual std::size_t chunk_count() const = 0;

    /// Elements of one chunk, 1 to kChunkElementsMax.
    [[nodiscard]] virtual std::size_t chunk_elements(std::size_t chunk) const = 0;

    /// Averaged buffers (batch-norm statistics) are outside the spread and travel as f32.
    [[nodiscard]] virtual bool is_buffer(std::size_t chunk) const = 0;

    /// Copies the chunk's raw elements into `out`; false when the chunk is locked now.
    [[nodiscard]] virtual bool try_read(std::size_t chunk, std::span<std::byte> out) = 0;

    /// chunk += delta, element by element; false when the chunk is locked now.
    [[nodiscard]] virtual bool try_add(std::size_t chunk, ByteView delta) = 0;
};

}  // namespace starling::gossip
