#pragma once

// Decides when a trainer evaluates a batch of test samples: for at most a share of the time, and
// right after an exchange where exchanges happen.
//
// At the end all peers hold the mean of their models. Just after an exchange our own model is nearest
// to that mean. Between exchanges the noise of our own steps costs it some points, so an evaluation
// that is due waits for the next exchange.

#include "base/instant.hpp"

namespace starling::peer {

class EvaluationPace {
public:
    /// Requires  0 < share <= 1: evaluations take at most this share of the time
    explicit EvaluationPace(double share) : share_(share) {}

    /// Training begins, or goes on. The first evaluation is due 2 s after the first call.
    void start(Instant now);

    /// Returns whether to evaluate now. `averaged` is the time of the last exchange, or Instant{} if
    /// there was none.
    [[nodiscard]] bool due(Instant now, Instant averaged) const;

    /// Notes an evaluation, and sets when the next one is due.
    void evaluated(Instant begin, Instant end);

private:
    double share_;
    Instant due_;
};

}  // namespace starling::peer
