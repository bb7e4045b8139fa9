#pragma once

// The state of a session, as plain values.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/interval.hpp"
#include "gossip/outcome.hpp"
#include "peer/terms/record.hpp"
#include "peer/terms/training.hpp"

namespace starling::peer {

/// How a peer averages with others.
struct MixingStatus {
    std::optional<std::int8_t> weight_log2;    ///< of our weight in pairs; nothing: they are even
    std::string every;                         ///< as --mix-every says it
    std::optional<gossip::Interval> interval;  ///< where exchanges go by time
    double target_spread = 0;                  ///< of the interval
    std::optional<double> rate_factor;         ///< of the learning rate, with scale=auto
};

/// How many bytes of shards lie in the cache.
struct CacheStatus {
    std::uint64_t bytes = 0;
    std::uint64_t limit = 0;    ///< besides the peer's own; 0: none
    std::uint64_t dropped = 0;  ///< shards that were given up
};

/// This peer's share of the splits that are too large for everybody (data/shares.hpp).
struct JudgingStatus {
    std::size_t portions = 0;
    std::size_t portions_of_all = 0;  ///< 0: everybody holds all that is judged
    std::uint64_t bytes = 0;
    std::uint64_t bytes_of_all = 0;
    std::optional<double> judged{};  ///< the part that the last evaluation was on
    std::vector<PeerId> off{};       ///< whose findings differ from ours by more than chance
    bool we_differ = false;          ///< ours differ from those of most others
};

/// What /status and /metrics show of a session.
struct SessionStatus {
    Record record;
    std::string waiting;  ///< for what and since when, for people; empty while it trains
    std::size_t shards_missing = 0;
    std::uint64_t swarm_samples = 0;
    gossip::AveragerCounters averaging;
    MixingStatus mixing;
    bool private_samples = false;  ///< each peer has samples of its own, which stay there
    bool silent_quality = false;
    std::uint64_t shard_requests_denied = 0;  ///< for private samples
    std::uint64_t shard_bytes = 0;
    std::uint64_t shard_frames_rejected = 0;
    std::uint64_t unsound_steps = 0;
    std::uint64_t damaged_records = 0;
    std::uint64_t recoveries = 0;
    double data_wait = 0;     ///< as in TrainerReport
    Duration longest_step{};  ///< as in TrainerReport
    CheckpointReport checkpoints;
    std::optional<Duration> checkpoint_age;  ///< of the newest on the disk; nothing: there is none
    ShardFileReport shard_files;
    DeviceReport device;
    CacheStatus cache;
    JudgingStatus judging;
};

}  // namespace starling::peer
