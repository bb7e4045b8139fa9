#pragma once

// By how much the learning rate is multiplied where K peers act as one batch. AdamW divides each peer's
// gradient by the size of its own noise, which is sqrt(K) times that of the batch of all. So K peers
// step as far as one with their common batch at sqrt(K) times its rate. That holds as far as they are
// one model: peers that are further apart than the target of their distance scale by less.
//
// Peers come and go, and the distance is noisy, so the factor follows slowly.
//
// Source    the square root rule: Malladi et al. 2022, On the SDEs and Scaling Rules for Adaptive Gradient
//           Algorithms; docs/results/gpt.md has it measured
//
// Thread    network

#include <cstdint>
#include <optional>

#include "base/instant.hpp"

namespace starling::peer {

class RateScale {
public:
    /// Scales for so many peers at most.
    explicit RateScale(std::uint64_t peers_most) : peers_most_(peers_most) {}

    struct Inputs {
        std::uint64_t peers = 1;  ///< that train, with us
        std::optional<double>
            spread;                  ///< relative distance to partners; nothing: we have met nobody
        double target_spread = 0.0;  ///< up to which peers count as one model
    };

    /// Returns whether the factor has changed by more than a hundredth since it last returned true.
    bool update(Instant now, const Inputs& inputs);

    /// Returns the factor, from 1 to the root of the number of peers.
    [[nodiscard]] double factor() const { return told_; }

    /// The factor goes 63 % of the way to what it should be in so much time.
    static constexpr Duration kFollows = std::chrono::seconds(10);

private:
    std::uint64_t peers_most_;
    std::optional<Instant> updated_;
    double log_ = 0.0;  ///< of the factor
    double told_ = 1.0;
};

}  // namespace starling::peer
