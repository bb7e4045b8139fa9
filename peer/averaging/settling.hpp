#pragma once

// How peers agree at the end: they average without training until each has seen that its partners
// are as near as the tolerance asks, and ask only those of whom they have not seen it yet.
//
// Thread    network

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/averager.hpp"
#include "peer/averaging/gossip_driver.hpp"
#include "peer/machine/loop.hpp"

namespace starling::peer {

class Settling {
public:
    /// Requires  `gossip` outlives it; 0 < tolerance
    Settling(Loop& loop, GossipDriver& gossip, double tolerance);

    /// Begins to average without a pause; nobody agrees yet. `encoding` is that of the training.
    void begin(gossip::Encoding encoding);

    /// Goes back to training.
    void end(gossip::Encoding encoding);

    /// The peer trains no more and asks nobody any more; it still answers.
    void stop();

    void on_exchange(const gossip::ExchangeEvent& event);

    /// Sets whom there is to agree with, and whether one of them has not heard yet that training is
    /// over: such a peer moves away from whatever it agrees to, so we wait for it a while.
    void update(std::span<const PeerId> partners, bool others_train);

    /// Whether nobody trains and all partners agree with us, or as many as we ask.
    [[nodiscard]] bool agreed() const;

private:
    struct Met {
        PeerId partner;
        std::uint64_t at = 0;  ///< exchanges since we began
        bool agrees = false;   ///< the distance was below the tolerance; no larger one since
    };

    void next();
    [[nodiscard]] Met last_meeting(const PeerId& peer) const;
    void leave_out(bool all_but_the_longest_unmet);

    GossipDriver& gossip_;
    double tolerance_;
    Timer timer_;
    bool active_ = false;
    bool others_train_ = false;
    std::vector<PeerId> partners_;
    std::vector<Met> met_;  ///< since we began
    std::uint64_t exchanges_ = 0;
    Instant begun_;
    Instant engaged_at_;  ///< the last time that we were in an exchange, or waited for others
    std::vector<PeerId> except_;  ///< kept for its memory
};

}  // namespace starling::peer
