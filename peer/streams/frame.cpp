#include "peer/streams/frame.hpp"

#include <string>

namespace starling::peer {

std::size_t frame_limit(FrameType type) {
    switch (type) {
        case FrameType::Hello:
            return 1024;
        case FrameType::Goodbye:
            return 1024;
        case FrameType::DescriptorRequest:
        case FrameType::StateInfoRequest:
        case FrameType::Ping:
        case FrameType::Pong:
        case FrameType::ReachRequest:
        case FrameType::ReachAnswer:
            return 64;
        case FrameType::StateInfo:
        case FrameType::StateRequest:
        case FrameType::ShardRequest:
        case FrameType::NotYet:
            return 1024;
        case FrameType::PushPull:
            return kControlFrameMax + 16;
        case FrameType::Exchange:
            // The rule noloco sends a chunk of the parameters and one of the slow weights.
            return 2 * kPayloadMax + 1024;
        case FrameType::DescriptorPiece:
        case FrameType::StateChunk:
        case FrameType::ShardPiece:
            return kPayloadMax + 1024;
    }
    return 0;
}

std::array<std::byte, kFrameHeaderSize> encode_frame_header(const FrameHeader& header) {
    std::array<std::byte, kFrameHeaderSize> bytes{};
    for (std::size_t i = 0; i < 4; ++i) {
        bytes[i] = static_cast<std::byte>(header.length >> (8 * i));
    }
    bytes[4] = static_cast<std::byte>(header.type);
    bytes[5] = static_cast<std::byte>(header.version);
    return bytes;
}

Result<FrameHeader> decode_frame_header(ByteView bytes) {
    ByteReader reader(bytes);
    FrameHeader header;
    header.length = reader.take<std::uint32_t>();
    header.type = reader.take<FrameType>();
    header.version = reader.take<std::uint8_t>();
    const auto reserved = reader.take<std::uint16_t>();
    if (!reader.ok()) return fail(FaultCode::Truncated, "frame header is cut short");
    const std::size_t limit = frame_limit(header.type);
    if (limit == 0 || reserved != 0) {
        return fail(
            FaultCode::BadFormat,
            "not a frame of ours (type " + std::to_string(static_cast<int>(header.type)) + ")"
        );
    }
    if (header.version != kFrameVersion) {
        return fail(
            FaultCode::BadVersion, "frame version " + std::to_string(header.version) + " is unknown"
        );
    }
    if (header.length > limit) {
        return fail(
            FaultCode::Oversized,
            "frame of " + std::to_string(header.length) + " bytes exceeds its limit of " +
                std::to_string(limit)
        );
    }
    return header;
}

}  // namespace starling::peer
