#pragma once

// Eight characters at a time, in a word: the first one in memory is the lowest byte.

#include <bit>
#include <cstddef>
#include <cstdint>

namespace starling::data {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t in_each_byte(unsigned char byte) {
    return 0x0101010101010101U * byte;
}

/// Sets the top bit of the first byte that equals `byte`, and of no byte before it.
constexpr std::uint64_t marks(std::uint64_t bytes, char byte) {
    const auto other = bytes ^ in_each_byte(static_cast<unsigned char>(byte));
    return (other - in_each_byte(1)) & ~other & in_each_byte(0x80);
}

/// Returns the place of the first byte that marks() has marked.
/// Requires  marks != 0
constexpr std::size_t first_marked(std::uint64_t marks) {
    return static_cast<std::size_t>(std::countr_zero(marks)) / 8;
}

}  // namespace starling::data
