#pragma once

// Memory that a machine needs only within one call. The machines of one thread may share it: where
// a thousand of them take turns, each finds it in the processor's cache, and not its own in memory.

#include <vector>

#include "base/bytes.hpp"
#include "membership/messages.hpp"

namespace starling::membership {

struct Workspace {
    Packet incoming;                ///< the datagram in hand
    std::vector<Message> outgoing;  ///< the one that is being written
    std::vector<Message> replies;   ///< what we say to the sender
    std::vector<Bytes> spare;       ///< of datagrams that were sent; for later ones
};

}  // namespace starling::membership
