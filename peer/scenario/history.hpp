#pragma once

// What was seen of the peers in the course of a run, with a bound on its memory: when a series is
// full, every second sample is dropped, and from then on samples come half as often.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/instant.hpp"
#include "peer/scenario/view.hpp"

namespace starling::scenario {

/// One look at one peer.
struct Sample {
    std::string state;  ///< the peer's word, or dead, paused, absent
    std::uint64_t steps = 0;
    std::uint64_t exchanges = 0;
    std::size_t members = 0;
    std::uint64_t bytes = 0;
    std::uint64_t memory = 0;  ///< bytes
    std::size_t descriptors = 0;
    double spread = 0;
    std::optional<double> accuracy;
    std::optional<double> loss;
};

class History {
public:
    static constexpr std::size_t kSamplesMax = 600;
    /// Of all peers together, so that a thousand peers take no more memory than a few.
    static constexpr std::size_t kCellsMax = 60'000;

    /// Takes a sample if one is due. `now` never decreases.
    void observe(Instant now, const View& view);

    /// Returns seconds since the first look, one for each sample.
    [[nodiscard]] const std::vector<double>& times() const { return times_; }

    /// Returns the samples of each peer. A peer that came later has absent ones before.
    [[nodiscard]] const std::vector<std::vector<Sample>>& peers() const { return peers_; }

private:
    void thin();

    std::optional<Instant> begin_;
    Instant next_;
    Duration period_ = std::chrono::seconds(1);
    std::vector<double> times_;
    std::vector<std::vector<Sample>> peers_;
};

}  // namespace starling::scenario
