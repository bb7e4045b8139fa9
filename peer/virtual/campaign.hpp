#pragma once

// What `starling simulate` runs: a virtual swarm with crashes, loss and one partition. The result
// is a summary in numbers.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/instant.hpp"
#include "membership/config.hpp"
#include "peer/virtual/campaign_faults.hpp"
#include "peer/virtual/network.hpp"
#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

/// How far a campaign has come.
struct CampaignProgress {
    bool formed = false;      ///< all peers know each other, or the time for that is over
    std::size_t started = 0;  ///< number of peers that have started
    double seconds = 0.0;     ///< virtual time
    std::uint64_t events = 0;
};

struct CampaignOptions {
    std::size_t peers = 64;
    Duration duration = std::chrono::minutes(10);  ///< counts after the swarm has formed
    std::uint64_t seed = 1;
    /// Mean crashes per minute over the whole swarm. A crashed peer returns after a minute.
    double crashes_per_minute = 0.0;
    /// The network is cut into halves for this long, after a third of the duration; zero: never.
    Duration partition{};
    NetworkOptions network;
    membership::SwimConfig swim;
    /// If this is given, the peers average floats. They start from different values.
    std::optional<AveragingOptions> averaging;
    /// If this is given as well, the peers are whole: they join, train, restart and end. The
    /// campaign ends with the last of them, at the latest after `duration`.
    std::optional<TrainingOptions> training;
    /// Mean restarts per minute over the whole swarm. The peer is killed and starts again after
    /// five seconds. With `training` it has its state.
    double restarts_per_minute = 0.0;
    /// This share of the peers dies at one instant, so long after the swarm has formed, and does not come back.
    double kill = 0.0;
    std::optional<Duration> kill_at;
    FaultRates faults;
    /// Peers publish progress records as peers that train do. Whole peers do so in any case.
    bool records = false;
    /// Called about once per virtual second. It must not change the result.
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
    /// Pairs of the seconds since the swarm has formed and the relative distance from the mean.
    std::vector<std::pair<double, double>> error;
    std::uint64_t exchanges = 0;
    std::vector<std::uint64_t> exchanges_by_peer;  ///< in which each took part
    std::uint64_t aborted = 0;
    std::uint64_t busy = 0;
    std::uint64_t promotions = 0;
    Quantiles exchange_time;
    double bytes_per_exchange = 0.0;  ///< payload bytes of both directions
    double waiting_share = 0.0;       ///< share of the time in which training waits for exchanges
};

/// What whole peers did while the campaign ran.
struct TrainingSummary {
    std::string until;
    std::size_t joined = 0;  ///< newcomers that came to train
    Quantiles join_time;     ///< from the start of the process until they train
    std::size_t resumed = 0;
    std::size_t ended = 0;   ///< peers that reached the common end
    std::size_t failed = 0;  ///< lives that ended with a fault; the peer starts again
    std::string last_fault;
    std::uint32_t rounds = 0;           ///< rounds of training until the target was met
    std::optional<double> ended_after;  ///< seconds from the first start to the last end
    std::uint64_t steps = 0;            ///< over all peers, each as of its last life
    std::uint64_t samples = 0;
};

struct CampaignSummary {
    std::size_t peers = 0;
    std::uint64_t seed = 0;
    double virtual_seconds = 0.0;
    std::uint64_t events = 0;
    std::uint64_t trace = 0;
    /// From the first start until all peers list all; empty if that took more than five minutes.
    std::optional<double> formation_seconds;
    std::size_t crashes = 0;
    /// Crashes that some peers do not know at the end. It does not count those that a restart or a
    /// partition has masked, and those of the last 30 seconds.
    std::size_t undetected = 0;
    Quantiles detected_first;
    Quantiles detected_all;
    std::uint64_t false_suspicions = 0;
    std::uint64_t false_failures = 0;
    double datagram_bytes_per_second = 0.0;  ///< sent by a peer on average, without IP and UDP
    double stream_bytes_per_second = 0.0;
    double datagrams_per_second = 0.0;
    bool partitioned = false;
    /// From the heal until all peers list all; empty if that took more than five minutes.
    std::optional<double> heal_seconds;
    std::optional<AveragingSummary> averaging;
    std::optional<TrainingSummary> training;
    std::size_t restarts = 0;
    /// All peers list all within a minute after the end, when nobody crashes or restarts any more.
    bool whole_at_end = false;
};

/// Runs one campaign. Blocks until it has ended, which can take minutes for many peers. The same
/// options give the same summary to the last bit.
/// Requires  options.peers > 0; options.swim is valid
[[nodiscard]] CampaignSummary run_campaign(const CampaignOptions& options);

/// Returns the summary as one JSON object on one line.
[[nodiscard]] std::string to_json(const CampaignSummary& summary);

/// Returns the summary as a few lines for people.
[[nodiscard]] std::string to_text(const CampaignSummary& summary);

}  // namespace starling::peer_virtual
