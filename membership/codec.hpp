#pragma once

// Bytes of membership, both ways, little-endian. A packet is a version byte, the swarm tag, the
// sender's short id, and messages until its end. Each message has a kind and a length, so that a
// peer of a newer minor version can say more than we understand. Written by hand and not by cereal,
// with which each datagram paid for two streams and their locales: this is the hot path of a big
// swarm and of the simulator. Layout: docs/protocol/membership.md.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "membership/messages.hpp"

namespace starling::membership {

/// Major version in the high four bits, minor in the low four.
inline constexpr std::uint8_t kWireVersion = 0x30;

/// Version, swarm tag, sender. Sealing leaves these bytes as they are (peer/seal).
inline constexpr std::size_t kPacketOverhead = 1 + 4 + 8;

/// Epochs, counters and versions stay below this, so that going above any of them cannot wrap.
inline constexpr std::uint64_t kCounterMax = std::uint64_t{1} << 62U;

/// Returns the first four bytes of the swarm's id, as they are on the wire.
[[nodiscard]] std::uint32_t swarm_tag(const SwarmId& swarm);

/// Returns the bytes that one message takes in a packet, kind and length included.
[[nodiscard]] std::size_t wire_size(const Message& message);

/// Writes the packet over `out`.
///
/// Requires  a packet that fits `size_max` (kPacketMax or kPageMax)
void encode_into(
    Bytes& out,
    const ShortId& sender,
    std::span<const Message> messages,
    std::uint32_t swarm_tag,
    std::size_t size_max
);

/// As encode_into, into new memory.
[[nodiscard]] Bytes encode(const Packet& packet, std::uint32_t swarm_tag, std::size_t size_max);

/// Appends an Alive or Left statement with its kind and length, as it stands in a packet.
void write_claim(ByteWriter& out, const Statement& claim);

/// Reads what write_claim wrote from the front of `bytes`, and moves `bytes` behind it. Nothing: it
/// is no such statement. The signature is not verified yet.
[[nodiscard]] std::optional<Statement> take_claim(ByteView& bytes, const Notary& notary);

/// Parses one datagram over `out`, whose memory is reused; all messages but SliceDigests are
/// allowed. `notary` tells the owners of the keys; no signature is verified yet.
///
/// Errors    Truncated, BadFormat, Oversized, BadVersion, SwarmMismatch; `out` is unspecified then
[[nodiscard]] Result<void> decode_datagram(
    ByteView bytes, std::uint32_t swarm_tag, const Notary& notary, Packet& out
);

/// Parses one page of a push/pull; probes and their answers are BadFormat there.
///
/// Errors    as decode_datagram
[[nodiscard]] Result<void> decode_page(
    ByteView bytes, std::uint32_t swarm_tag, const Notary& notary, Packet& out
);

}  // namespace starling::membership
