#pragma once

// Which swarm a peer becomes part of, decided before anything runs: one that it founds from its
// flags, one that a seed describes, or that of its last life.
//
// Thread    network; joining runs the loop until a seed has answered

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "data/dataset.hpp"
#include "peer/crypto/swarm_key.hpp"
#include "peer/streams/connection.hpp"
#include "peer/terms/config.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/terms/model_file.hpp"
#include "peer/training/checkpoint.hpp"

namespace starling::peer {

/// How a peer comes to its parameters.
enum class Start : std::uint8_t { Found, Join, Resume };

struct SwarmPlan {
    Descriptor descriptor;
    Bytes blob;  ///< the descriptor as it travels; its hash is the swarm's id
    compute::ParameterLayout layout;
    Start start = Start::Found;
    std::optional<Checkpoint> checkpoint;   ///< to go on from
    std::vector<Endpoint> known_addresses;  ///< members of the last life
    std::string via;                        ///< the seed that described the swarm
};

/// What a founder brings along.
struct Founding {
    data::Sharded data;
    ModelChoice model;
};

using Note = std::function<void(const std::string& line)>;

/// Reads the founder's data and model, and sees that the one fits the other.
/// Errors    Usage, NotFound, BadFormat and whatever else a data set's reader says
[[nodiscard]] Result<Founding> load_founding(const PeerConfig& config);

/// Describes a new swarm. `founding` is null for one of mere members.
/// Errors    Oversized (a descriptor of more than 16 MiB)
[[nodiscard]] Result<SwarmPlan> plan_founding(
    const PeerConfig& config, bool keyed, const Founding* founding
);

/// Asks the seeds what swarm they belong to.
/// Errors    as fetch_descriptor and decode_descriptor; Refused (the seed holds another key)
[[nodiscard]] Result<SwarmPlan> plan_joining(
    Loop& loop,
    const PeerConfig& config,
    const std::vector<Endpoint>& seeds,
    const Hello& ours,
    const std::optional<SwarmKey>& key,
    const Note& note
);

/// Goes on where the last life stopped.
/// Errors    as decode_descriptor
[[nodiscard]] Result<SwarmPlan> plan_resuming(Checkpoint checkpoint, const Note& note);

/// Checks that this machine and release build the very model that the descriptor means, and lays
/// its parameters out. Not for mere members, who need none.
/// Errors    Unsupported (a swarm of mere members), LayoutMismatch, Usage, Corrupt (a checkpoint)
[[nodiscard]] Result<void> lay_out(SwarmPlan& plan);

}  // namespace starling::peer
