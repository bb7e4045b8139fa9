#pragma once

// Where the fields of an IPv4 packet's header are (RFC 791, section 3.1), for who passes packets on.

#include <cstddef>
#include <cstdint>
#include <span>

namespace starling::peer::ipv4 {

inline constexpr std::size_t kHeaderBytes = 20;  ///< without options
inline constexpr std::size_t kTotalAt = 2;
inline constexpr std::size_t kTtlAt = 8;
inline constexpr std::size_t kProtocolAt = 9;
inline constexpr std::size_t kChecksumAt = 10;
inline constexpr std::size_t kSourceAt = 12;
inline constexpr std::size_t kDestinationAt = 16;
inline constexpr std::uint32_t kTcp = 6;
inline constexpr std::uint32_t kUdp = 17;

/// Returns a field of up to 4 bytes, which the caller knows to be there.
[[nodiscard]] inline std::uint32_t number(
    std::span<const std::byte> bytes, std::size_t at, std::size_t size
) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
        value = value << 8U | std::to_integer<std::uint32_t>(bytes[at + i]);
    }
    return value;
}

/// Returns whether these bytes have an IPv4 header, whose options may be cut off.
[[nodiscard]] inline bool is_packet(std::span<const std::byte> bytes) {
    return bytes.size() >= kHeaderBytes && number(bytes, 0, 1) >> 4U == 4;
}

}  // namespace starling::peer::ipv4
