#pragma once

// Notices when a peer learns its training data by heart: the training loss goes on falling, and the
// test loss has been far above its best for long.
//
// Thread    network

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/instant.hpp"

namespace starling::peer {

class Overfitting {
public:
    struct Estimate {
        std::uint64_t steps = 0;
        double loss = 0;       ///< running mean of the training loss
        double test_loss = 0;  ///< running mean over parts of the test set
    };

    /// Takes in a new estimate. Returns a line for people, once until the test loss has a new best.
    [[nodiscard]] std::optional<std::string> handle_estimate(Instant now, const Estimate& estimate);

    /// Far is this many times the best, and by kRiseMin more.
    static constexpr double kRise = 1.5;
    static constexpr double kRiseMin = 0.1;
    /// Long is so long, and so many estimates one after the other: they are noisy.
    static constexpr Duration kLong = std::chrono::seconds(60);
    static constexpr std::size_t kEstimates = 10;

private:
    std::optional<Estimate> best_;
    Instant since_;        ///< when the first of `bad_` came
    std::size_t bad_ = 0;  ///< estimates far above the best, one after the other
    bool said_ = false;
};

}  // namespace starling::peer
