#pragma once

// How peers agree at the end: they average without training until each has seen that its partners
// are as near as the tolerance asks, and ask only those of whom they have not seen it yet.
//
// Thread    network

#include <cstddef>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/averager.hpp"
#include "peer/gossip_driver.hpp"
#include "peer/loop.hpp"

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

    void member_down(const PeerId& peer);

    /// Whether somebody has not heard yet that training is over: such a peer moves away from
    /// whatever it agrees to, so we wait for it a while.
    void set_others_train(bool others_train);

    /// Whether nobody trains and all of `partners` partners agree with us, or as many as we ask.
    [[nodiscard]] bool agreed(std::size_t partners) const;

private:
    void next();

    GossipDriver& gossip_;
    double tolerance_;
    Timer timer_;
    bool active_ = false;
    bool others_train_ = false;
    Instant begun_;
    /// Partners whose last distance was below the tolerance, since the last larger one.
    std::vector<PeerId> agreeing_;
    std::optional<PeerId> last_;  ///< met last
    std::vector<PeerId> except_;  ///< kept for its memory
};

}  // namespace starling::peer
