#pragma once

// The faults of a campaign besides crashes, restarts and its partition: machines that stop, are slow or have
// wrong clocks, members that leave, links that lose one direction or everything for a while, and peers that
// are cut off again and again.

#include <cstddef>
#include <functional>
#include <map>
#include <vector>

#include "base/instant.hpp"
#include "base/rng.hpp"
#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

struct FaultRates {
    // Mean number per minute over the whole swarm.
    double pauses = 0.0;    ///< a process stops, as with SIGSTOP
    double leaves = 0.0;    ///< a peer says goodbye; it comes back later
    double one_ways = 0.0;  ///< what a peer sends is lost, and it hears the others
    double clogs = 0.0;     ///< what a peer sends is held back, and comes at once in the end
    /// How long one of these lasts.
    Duration lasts = std::chrono::seconds(10);
    /// So many peers are cut off for 20 s out of 40 s, for the whole time.
    std::size_t flapping = 0;
    /// This share of the peers needs 5 ms for every event.
    double slow = 0.0;
    /// Each clock runs up to so many millionths fast or slow.
    std::int32_t clock_error = 0;

    [[nodiscard]] bool cuts() const { return one_ways > 0.0 || clogs > 0.0 || flapping > 0; }
};

/// Thread    the owner
class CampaignFaults {
public:
    /// Draws the clocks. Nothing runs yet.
    ///
    /// Requires  `swarm` outlives this
    CampaignFaults(Swarm& swarm, const FaultRates& rates, Rng rng);

    /// The time of the faults begins: some peers become slow, some begin to flap.
    void begin();

    /// Returns when carry_out() has something to do, Instant::max() if never.
    [[nodiscard]] Instant next() const;

    /// Does what is due. Returns whether a link was cut or mended.
    bool carry_out();

    /// Ends all faults. Those that have left are started again.
    void end();

private:
    /// What ends at some time.
    using Endings = std::multimap<Instant, std::function<void()>>;

    [[nodiscard]] Instant draw(double per_minute);
    [[nodiscard]] std::optional<NodeIndex> pick();
    void pause_one();
    void leave_one();
    void cut_one();
    void clog_one();
    void flap(NodeIndex node);
    void cut_off(NodeIndex node, bool cut);
    void later(Duration after, std::function<void()> what);

    Swarm& swarm_;
    FaultRates rates_;
    Rng rng_;
    Instant pause_ = Instant::max();
    Instant leave_ = Instant::max();
    Instant one_way_ = Instant::max();
    Instant clog_ = Instant::max();
    bool links_changed_ = false;
    bool over_ = false;
    Endings endings_;
};

}  // namespace starling::peer_virtual
