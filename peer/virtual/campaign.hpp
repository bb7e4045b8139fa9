#pragma once

// What `starling simulate` runs: a virtual swarm under steady crashes, loss and one partition, and
// the numbers that come out of it.

#include <cstdint>
#include <optional>
#include <string>

#include "base/instant.hpp"
#include "membership/config.hpp"
#include "peer/virtual/network.hpp"

namespace starling::peer_virtual {

struct CampaignOptions {
    std::size_t peers = 64;
    Duration duration = std::chrono::minutes(10);  ///< after the swarm has formed
    std::uint64_t seed = 1;
    /// Mean crashes per minute over the whole swarm; each crashed peer comes back after a minute.
    double crashes_per_minute = 0.0;
    /// Halves are cut from each other for this long, from a third of the duration on; zero never.
    Duration partition{};
    NetworkOptions network;
    membership::SwimConfig swim;
};

/// Order statistics of durations, in seconds.
struct Quantiles {
    std::size_t count = 0;
    double p50 = 0.0;
    double p99 = 0.0;
    double max = 0.0;
};

struct CampaignSummary {
    std::size_t peers = 0;
    std::uint64_t seed = 0;
    double virtual_seconds = 0.0;
    std::uint64_t events = 0;
    std::uint64_t trace = 0;
    /// From the first start until all list all; empty when that did not happen within five minutes.
    std::optional<double> formation_seconds;
    std::size_t crashes = 0;
    std::size_t undetected = 0;  ///< neither known to all at the end nor masked by a restart
    Quantiles detected_first;
    Quantiles detected_all;
    std::uint64_t false_suspicions = 0;
    std::uint64_t false_failures = 0;
    double datagram_bytes_per_second = 0.0;  ///< sent, mean over peers; without IP and UDP headers
    double stream_bytes_per_second = 0.0;
    double datagrams_per_second = 0.0;
    bool partitioned = false;
    /// From the heal until all list all; empty when that did not happen within five minutes.
    std::optional<double> heal_seconds;
    /// All list all within a minute after the last crash.
    bool whole_at_end = false;
};

/// Runs one campaign. Same options, same summary, to the last bit.
/// Requires  options.peers > 0 and options.swim that validates
[[nodiscard]] CampaignSummary run_campaign(const CampaignOptions& options);

/// Returns the summary as one JSON object on one line.
[[nodiscard]] std::string to_json(const CampaignSummary& summary);

/// Returns the summary as a few lines for people.
[[nodiscard]] std::string to_text(const CampaignSummary& summary);

}  // namespace starling::peer_virtual
