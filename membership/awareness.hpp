#pragma once

// Local health: how far we trust our own ears. A member that is slow itself (starved of CPU, behind
// a bad link) misses acks of healthy members. It notices that because it misses nacks as well, and
// because it has to refute accusations. The worse its score, the slower and the more patiently it
// probes.
//
// Source: Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate Failure
// Detection", section IV-A. Both the interval and the timeout scale, as in the paper (memberlist
// scales the interval only).

#include <algorithm>
#include <cstdint>

#include "base/instant.hpp"

namespace starling::membership {

class Awareness {
public:
    /// Requires  levels >= 1; scores are 0 to levels - 1
    explicit Awareness(std::uint32_t levels) : score_max_(static_cast<int>(levels) - 1) {}

    void add(int delta) { score_ = std::clamp(score_ + delta, 0, score_max_); }

    /// 0 is healthy.
    [[nodiscard]] int score() const { return score_; }

    [[nodiscard]] Duration scale(Duration duration) const { return duration * (score_ + 1); }

private:
    int score_max_;
    int score_ = 0;
};

/// Returns what a probe that nobody answered adds to our score. Each helper that sent neither ack
/// nor nack adds one, because it makes us the likelier culprit; with no helper to ask we take one.
///
/// Source    Lifeguard, table I
[[nodiscard]] int blame_for_missed_probe(std::uint32_t helpers, std::uint32_t nacks);

}  // namespace starling::membership
