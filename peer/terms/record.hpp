#pragma once

// A peer's progress record: what it tells the whole swarm about itself, inside the 512 bytes that
// membership carries for each peer. What others decide from goes to all at once, counters now and then. From these records peers decide everything
// without a coordinator: who owns a shard, whether the target is reached, whether all have settled.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/metrics/quality.hpp"
#include "peer/terms/duty.hpp"

namespace starling::peer {

enum class PeerState : std::uint8_t {
    Joining = 0,  ///< fetching parameters and shards; neither trains nor averages
    Training = 1,
    Settling = 2,    ///< averaging without training
    Evaluating = 3,  ///< on the whole test set, after settling
    Lingering = 4,   ///< finished; serves others until all have finished
    Done = 5,        ///< about to leave
    Watching = 6,    ///< a member that trains nothing
};

[[nodiscard]] std::string_view to_string(PeerState state);

/// What a peer may train on, where the target is a number of samples (peer/session/quota.hpp).
struct Claim {
    std::uint64_t samples = 0;  ///< up to so many of its own, over all its lives
    std::uint32_t turn = 0;     ///< in which it last claimed; 0: it claims nothing
    std::uint32_t sharers = 0;  ///< combined from the ids of all that share, with itself

    bool operator==(const Claim&) const = default;
};

struct Record {
    PeerState state = PeerState::Joining;
    bool reached = false;     ///< its own estimate meets the target of this round
    bool ending = false;      ///< the sticky flag: training of this round is over
    std::uint32_t round = 0;  ///< how often the swarm went back to training after a miss
    std::uint64_t steps = 0;
    std::uint64_t samples = 0;  ///< trained on by this peer, never falls
    std::uint64_t exchanges = 0;
    std::uint64_t bytes = 0;  ///< bytes sent on streams
    float samples_per_s = 0;
    float loss = 0;
    float accuracy = -1;  ///< negative: not measured yet
    float spread = 0;
    std::uint16_t shards = 0;  ///< training shards that it trains on
    std::uint16_t held = 0;    ///< shards whose bytes it has
    std::string name;          ///< what people call it; may be empty
    float test_loss = -1;      ///< negative: not measured yet
    /// Whether members that tried could dial it at the address that it announces; empty: nobody has
    /// tried.
    std::optional<bool> reachable;
    Claim claim;
    /// An estimate of the quality that the swarm watches, besides accuracy and loss.
    std::optional<compute::Quality> quality;
    /// In a swarm of private samples: how many it trains on, and how many it judges itself by.
    std::uint32_t own_train = 0;
    std::uint32_t own_judged = 0;
    /// Log2 of the samples that it trains on in a second, in eighths; empty: not measured yet
    /// (peer/session/speed.hpp).
    std::optional<std::int16_t> speed;
    std::optional<DutyProgress> duty;  ///< how far its shards are; empty: it has none
    /// It stands outside the sum that averaging keeps, and is asked for nothing (peer/session/standing.hpp).
    bool ghost = false;
    std::uint64_t learned = 0;  ///< samples of the swarm that its parameters have learned from
};

/// No swarm trains on more samples.
inline constexpr std::uint64_t kLearnedMax = std::uint64_t{1} << 62U;

/// Longest name of a peer in bytes.
inline constexpr std::size_t kNameBytesMax = 32;

/// Returns whether a peer may be called so: letters, digits, '-', '_' and '.', no more than
/// kNameBytesMax. A name appears on other people's screens and in their shells.
[[nodiscard]] bool is_peer_name(std::string_view name);

[[nodiscard]] Bytes encode_record(const Record& record);

/// Errors    Truncated, BadVersion, BadValue
[[nodiscard]] Result<Record> decode_record(ByteView bytes);

}  // namespace starling::peer
