#pragma once

// Bytes of membership, both ways. A packet is a version byte and one cereal portable binary
// archive, little-endian: byte order mark, swarm tag, sender, count, messages. Each message has a
// kind and a length, so that a peer of a newer minor version can say more than we understand.
// Layout: docs/protocol/membership.md.

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "membership/messages.hpp"

namespace starling::membership {

/// Major version in the high four bits, minor in the low four.
inline constexpr std::uint8_t kWireVersion = 0x10;

/// Version, byte order mark, swarm tag, sender, count.
inline constexpr std::size_t kPacketOverhead = 1 + 1 + 8 + 32 + 2;

/// Epochs, counters and versions stay below this, so that going above any of them cannot wrap.
inline constexpr std::uint64_t kCounterMax = std::uint64_t{1} << 62U;

/// Returns the bytes that one message takes in a packet, kind and length included.
[[nodiscard]] std::size_t wire_size(const Message& message);

/// Returns the packet as bytes. Requires a packet that fits `size_max` (kDatagramMax or kPageMax).
[[nodiscard]] Bytes encode(const Packet& packet, std::uint64_t swarm_tag, std::size_t size_max);

/// Parses one datagram; all kinds of messages are allowed.
/// Errors    Truncated, BadFormat, Oversized, BadVersion, SwarmMismatch; nothing is kept
[[nodiscard]] Result<Packet> decode_datagram(ByteView bytes, std::uint64_t swarm_tag);

/// Parses one page of a push/pull; probes and acks are BadFormat there.
/// Errors    as decode_datagram
[[nodiscard]] Result<Packet> decode_page(ByteView bytes, std::uint64_t swarm_tag);

}  // namespace starling::membership
