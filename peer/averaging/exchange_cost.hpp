#pragma once

// What an exchange takes from training, measured: the processor time of the network thread while
// exchanges run, and the time for which it has held locks of the parameters, in which training may have
// waited. The time of steps is no measure, because it varies by more than that.
//
// Thread    network

#include "base/instant.hpp"

namespace starling::peer {

class ExchangeCost {
public:
    /// Says whether exchanges run from now on. `spent` is what the thread has spent in its life, on
    /// whatever; what it spends while none runs does not count.
    void handle_running(bool running, Duration spent);

    /// An exchange was committed, in either role.
    void handle_committed(Duration spent);

    [[nodiscard]] bool running() const { return running_; }

    /// Returns the running mean of what an exchange costs; zero before the first. What failed exchanges
    /// have cost counts to the next one that is committed.
    [[nodiscard]] Duration mean() const { return mean_; }

private:
    void collect(Duration spent);

    bool running_ = false;
    bool measured_ = false;
    Duration since_{};      ///< what was spent when we last looked
    Duration collected_{};  ///< since the last exchange that was committed
    Duration mean_{};
};

}  // namespace starling::peer
