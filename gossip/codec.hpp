#pragma once

// Frames to messages and back. A frame is a prefix of four bytes (kind, version, header length),
// a header through cereal, and for chunks a raw little-endian payload that never passes through it.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "gossip/messages.hpp"
#include "gossip/parameter_vector.hpp"

namespace starling::gossip {

/// Bytes before a payload: prefix and header of Chunk and ChunkReply. A multiple of eight, so that
/// the elements behind it are aligned in a frame that is.
inline constexpr std::size_t kPayloadOffset = 24;
/// Largest header, also of later minor versions.
inline constexpr std::size_t kHeaderMax = 256;
/// Largest payload: a whole chunk of the largest element.
inline constexpr std::size_t kPayloadMax = kChunkElementsMax * element_size(Element::I64);

/// Returns the frame of a message without payload.
/// Requires  not Unknown; Chunk and ChunkReply go through write_payload_header
[[nodiscard]] Bytes encode(const Message& message);

/// Writes what stands before the payload of a Chunk or ChunkReply; their `payload` is not looked
/// at: it is already in place behind.
void write_payload_header(const Chunk& chunk, std::span<std::byte, kPayloadOffset> out);
void write_payload_header(const ChunkReply& reply, std::span<std::byte, kPayloadOffset> out);

/// Reads one frame. A payload in the result is a view into `frame`.
/// Errors    BadFormat, Truncated, Oversized, BadVersion: nothing was kept
[[nodiscard]] Result<Message> decode(ByteView frame);

}  // namespace starling::gossip
