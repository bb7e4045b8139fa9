#pragma once

// How fast steps go, how long they wait for data, and their mean loss.

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

    /// Adds a step that took `whole`, of which it waited `wait` for its batch.
    void add_step(Duration wait, Duration whole);

    /// Returns the share of time that the last steps (about 50) waited for data, 0 to 1; 0 before
    /// the first.
    [[nodiscard]] double data_wait() const { return whole_ > 0.0 ? wait_ / whole_ : 0.0; }

    /// The next step has other parameters: the mean starts anew from its loss.
    void forget_loss() { loss_known_ = false; }

    [[nodiscard]] double loss() const { return loss_; }

private:
    Instant since_;
    std::uint64_t samples_ = 0;
    double loss_ = 0.0;
    bool loss_known_ = false;
    double wait_ = 0.0;  ///< decaying sums, in seconds
    double whole_ = 0.0;
};

}  // namespace starling::peer
