#pragma once

// Frames travel on a stream between two peers. Each has a type, a version and a bounded length.
//
//   offset  bytes  field
//   0       4      payload length, little-endian
//   4       1      type
//   5       1      version of the type's payload
//   6       2      zero
//   8       ...    payload
//
// The limit of each type is checked before any allocation; docs/protocol/streams.md lists the
// payloads.

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

namespace starling::peer {

enum class FrameType : std::uint8_t {
    Hello = 1,              ///< first frame of both sides
    Goodbye = 2,            ///< last frame: says to people why the stream ends
    DescriptorRequest = 3,  ///< empty
    DescriptorPiece = 4,    ///< total length, offset, bytes
    PushPull = 5,           ///< one page of the membership table
    Exchange = 6,           ///< a frame of the averaging machine
    StateInfoRequest = 7,   ///< empty
    StateInfo = 8,          ///< what a donor offers
    StateRequest = 9,       ///< asks for one chunk
    StateChunk = 10,        ///< one chunk of parameters, or a refusal
    ShardRequest = 11,      ///< asks for one piece of a shard
    ShardPiece = 12,        ///< one piece of a shard, or a refusal
    Ping = 13,              ///< empty; membership asks whether the other side lives
    Pong = 14,              ///< empty; the answer to a Ping
    NotYet = 15,            ///< no descriptor yet: the swarm is being founded; a line for people
    // 16 to 47 are reserved for relays, stages of a pipeline and attached trainers.
    ReachRequest = 48,  ///< asks to dial an address back
    ReachAnswer = 49,   ///< whether we live there
};

inline constexpr std::size_t kFrameTypes = 50;  ///< all types are below this number
inline constexpr std::size_t kFrameHeaderSize = 8;
inline constexpr std::uint8_t kFrameVersion = 1;
inline constexpr std::size_t kControlFrameMax = std::size_t{64} * 1024;
inline constexpr std::size_t kPayloadMax = std::size_t{256} * 1024;  ///< one chunk of fp32

/// Takes the frames of the types that it is registered for (Links::route).
class FrameReceiver {
public:
    virtual ~FrameReceiver() = default;
    /// A frame has come from a partner of our swarm. `payload` is valid until the function returns.
    virtual void handle_frame(const PeerId& from, FrameType type, ByteView payload) = 0;
};

struct FrameHeader {
    std::uint32_t length = 0;
    FrameType type = FrameType::Hello;
    std::uint8_t version = kFrameVersion;
};

/// Returns the largest payload that a frame of this type may have, 0 for unknown types.
[[nodiscard]] std::size_t frame_limit(FrameType type);

[[nodiscard]] std::array<std::byte, kFrameHeaderSize> encode_frame_header(const FrameHeader& header
);

/// Errors    BadFormat (unknown type, reserved bits), BadVersion, Oversized
[[nodiscard]] Result<FrameHeader> decode_frame_header(ByteView bytes);

}  // namespace starling::peer
