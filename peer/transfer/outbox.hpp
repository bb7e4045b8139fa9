#pragma once

// Where the machines of this room put the frames that they want to send. Whoever drives them sends
// the frames in this order.

#include <deque>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "peer/streams/frame.hpp"

namespace starling::peer {

struct OutgoingFrame {
    PeerId to;
    FrameType type = FrameType::Goodbye;
    Bytes payload;
};

using Outbox = std::deque<OutgoingFrame>;

}  // namespace starling::peer
