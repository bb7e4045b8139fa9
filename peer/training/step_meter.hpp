#pragma once

// How fast steps go, how long they wait for data, and their mean loss.

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/instant.hpp"

namespace starling::peer {

class StepMeter {
public:
    /// Training begins, or goes on. `samples` counts those of all steps so far, as below.
    void start(Instant now, std::uint64_t samples);

    /// Returns the mean speed over the last seconds (at most about 3), in samples per second.
    /// Nothing in the first half second of such a span: too few steps have ended.
    [[nodiscard]] std::optional<double> samples_per_s(Instant now, std::uint64_t samples);

    /// Adds the loss of a step to the running mean.
    void add_loss(double loss);

    /// Adds a step, which had its batch at `ready`.
    void add_step(Instant begin, Instant ready, Instant end);

    /// Returns the share of time that the last steps (about 50) waited for data, 0 to 1; 0 before
    /// the first.
    [[nodiscard]] double data_wait() const { return whole_ > 0.0 ? wait_ / whole_ : 0.0; }

    /// Returns the longest time from the end of a step to the end of the next one, or from start() to the
    /// first, over the last five to ten seconds: what else this thread did in between counts, too.
    [[nodiscard]] Duration longest_step() const { return std::max(longest_, longest_before_); }

    /// Returns the mean seconds of the last steps (about 50) without their waits; 0 before the first.
    [[nodiscard]] double step_seconds() const {
        return steps_ > 0.0 ? (whole_ - wait_) / steps_ : 0.0;
    }

    /// The next step has other parameters: the mean starts anew from its loss.
    void forget_loss() { loss_known_ = false; }

    [[nodiscard]] double loss() const { return loss_; }

private:
    void measure_from(Instant now, std::uint64_t samples);

    Instant since_;
    std::uint64_t samples_ = 0;
    double loss_ = 0.0;
    bool loss_known_ = false;
    Instant ended_;  ///< when the last step ended, or training began
    Instant window_;
    Duration longest_{};         ///< since window_
    Duration longest_before_{};  ///< in the window before
    double wait_ = 0.0;          ///< decaying sums, in seconds
    double whole_ = 0.0;
    double steps_ = 0.0;
};

}  // namespace starling::peer
