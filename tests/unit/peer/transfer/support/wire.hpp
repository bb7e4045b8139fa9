#pragma once

// Hands frames from one machine's outbox to the others, on a clock that the test moves.

#include <deque>
#include <functional>
#include <map>

#include "base/instant.hpp"
#include "peer/transfer/outbox.hpp"
#include "tests/support/peer_id.hpp"

namespace starling::peer {

/// A frame on its way, and who has sent it.
struct Sent {
    PeerId from;
    OutgoingFrame frame;
};

class Wire {
public:
    /// Returns the outbox of one peer. It stays where it is.
    Outbox& outbox(const PeerId& peer) { return boxes_[peer]; }

    /// Takes the next frame of any peer. Returns false when there is none.
    bool take(Sent& out) {
        for (auto& [peer, box] : boxes_) {
            if (box.empty()) continue;
            out = {peer, std::move(box.front())};
            box.pop_front();
            return true;
        }
        return false;
    }

    [[nodiscard]] std::size_t waiting() const {
        std::size_t count = 0;
        for (const auto& [peer, box] : boxes_) count += box.size();
        return count;
    }

private:
    std::map<PeerId, Outbox> boxes_;
};

}  // namespace starling::peer
