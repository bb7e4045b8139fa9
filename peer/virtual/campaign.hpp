#pragma once

// What `starling simulate` runs: a virtual swarm under steady crashes, loss and one partition, and
// the numbers that come out of it.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/instant.hpp"
#include "membership/config.hpp"
#include "peer/virtual/network.hpp"
#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

/// How far a campaign is.
struct CampaignProgress {
    bool formed = false;      ///< all peers have started and list each other, or the wait is over
    std::size_t started = 0;  ///< peers
    double seconds = 0.0;     ///< of virtual time
    std::uint64_t events = 0;
};

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
    /// With it the peers average floats, from different starts unless they are near each other.
    std::optional<AveragingOptions> averaging;
    /// Called about once a virtual second; changes nothing.
    std::function<void(const CampaignProgress&)> progress;
};

/// Order statistics of durations, in seconds.
struct Quantiles {
    std::size_t count = 0;
    double p50 = 0.0;
    double p99 = 0.0;
    double max = 0.0;
};

/// What averaging did while the campaign ran.
struct AveragingSummary {
    std::string rule;
    std::string encoding;
    std::size_t parameters = 0;
    /// Seconds after the swarm has formed, and the relative distance from the mean then.
    std::vector<std::pair<double, double>> error;
    std::uint64_t exchanges = 0;
    std::uint64_t aborted = 0;
    std::uint64_t busy = 0;
    std::uint64_t promotions = 0;
    Quantiles exchange_time;
    double bytes_per_exchange = 0.0;  ///< payload of both directions
    double waiting_share = 0.0;       ///< of the time, in which training waits for exchanges
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
    std::optional<AveragingSummary> averaging;
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
