#pragma once

// Turns the bytes of a stream into frames, without I/O and without a copy: the caller reads straight
// into the frame's memory. Loop: read into room(), filled(), then next() until it returns nothing.

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "peer/streams/frame.hpp"
#include "peer/streams/frame_room.hpp"

namespace starling::peer {

struct Frame {
    FrameType type;
    ByteView payload;
};

class FrameReader {
public:
    using Room = std::array<std::span<std::byte>, 2>;

    /// Returns where the next bytes belong: the rest of a header, or the rest of a payload and then
    /// the next header.
    [[nodiscard]] Room room();

    /// Says that this many bytes were read into room().
    void filled(std::size_t bytes);

    /// Returns the next frame that is whole. Its payload is valid until the next call.
    /// Errors    those of decode_frame_header; BadFormat (a stranger's frame that is larger than a
    ///           greeting)
    [[nodiscard]] Result<std::optional<Frame>> next();

    /// Lets the partner send more than a greeting. Before this it gets no more memory than one
    /// needs.
    void admit() { admitted_ = true; }

    /// Returns the length of the payload that comes in now; 0 while a header comes in.
    [[nodiscard]] std::size_t payload_size() const { return header_ ? payload_.size() : 0; }

    /// Returns how many bytes of it have not come.
    [[nodiscard]] std::size_t missing() const { return payload_size() - have_; }

private:
    std::array<std::byte, kFrameHeaderSize> head_{};
    std::size_t head_have_ = 0;          ///< bytes of the next header
    std::optional<FrameHeader> header_;  ///< of the payload that comes in
    std::span<std::byte> payload_;
    std::size_t have_ = 0;  ///< bytes of that payload
    FrameRoom memory_;
    bool admitted_ = false;
};

}  // namespace starling::peer
