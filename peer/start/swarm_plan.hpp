#pragma once

// The swarm that a peer will belong to. It is decided before anything else runs: the peer founds a
// swarm from its flags, joins the one that a seed describes, or resumes that of its last life.
//
// Thread    network; plan_joining runs the loop until a seed has answered

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "peer/crypto/swarm_key.hpp"
#include "peer/streams/greeting.hpp"
#include "peer/terms/config.hpp"
#include "peer/terms/data_set.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/terms/model_file.hpp"
#include "peer/terms/start.hpp"
#include "peer/training/checkpoint.hpp"

namespace starling::peer {

class Loop;

struct SwarmPlan {
    Descriptor descriptor;
    Bytes blob;  ///< the encoded descriptor; its hash is the swarm's id
    compute::ParameterLayout layout;
    Start start = Start::Found;
    /// In a swarm of private samples: our own ones, and their shards.
    std::optional<data::Manifest> own;
    std::optional<Checkpoint> checkpoint;   ///< the checkpoint to resume from
    std::vector<Endpoint> known_addresses;  ///< members of the last life
    std::optional<Endpoint> via;            ///< the seed that described the swarm
    bool small_segments = false;            ///< large packets get lost on the way to `via`

    [[nodiscard]] bool is_private() const {
        return descriptor.manifest.mode == data::DataMode::Private;
    }

    /// Returns the manifest of the shards that we may hold.
    [[nodiscard]] const data::Manifest& manifest() const {
        return own ? *own : descriptor.manifest;
    }
};

/// What a founder reads from its files.
struct Founding {
    CutShards data;
    ModelChoice model;
    std::vector<std::string> notes;      ///< lines for people about the data and the model
    std::optional<data::Schema> schema;  ///< of --schema: what all have agreed on
    std::vector<float> class_weights;    ///< by these training samples, if classes are weighted
};

using Note = std::function<void(const std::string& line)>;

/// Reads the founder's data and model, and checks that the model fits the data and the batch. Takes as long as
/// reading and cutting the whole data set.
/// Errors    Usage, NotFound, BadFormat and the other faults of load_dataset
[[nodiscard]] Result<Founding> load_founding(const PeerConfig& config);

/// Reads the samples that a peer brings into a swarm of private data, and checks that they are as the swarm
/// has agreed, and weighs their classes as it has. Takes as long as load_founding.
/// Errors    as load_founding; Usage: samples that the swarm's model cannot take; names what differs
[[nodiscard]] Result<Founding> load_own(
    const PeerConfig& config,
    const data::Manifest& agreed,
    ClassWeighting weighting = ClassWeighting::None
);

/// Describes a new swarm. `founding` is null for a swarm that trains nothing.
/// Errors    Oversized (a descriptor of more than 16 MiB)
[[nodiscard]] Result<SwarmPlan> plan_founding(
    const PeerConfig& config, bool keyed, const Founding* founding
);

/// Asks the seeds of `config` for the descriptor of their swarm. Runs the loop and blocks until one
/// has answered, at most ten seconds. Calls `note` with one line for each seed that fails first.
/// Errors    as fetch_descriptor and decode_descriptor; Refused (the seed holds another key)
[[nodiscard]] Result<SwarmPlan> plan_joining(
    Loop& loop,
    const PeerConfig& config,
    Introduction ours,
    const std::optional<SwarmKey>& key,
    const Note& note
);

/// Resumes the swarm of a checkpoint. Calls `note` if the newest checkpoint was damaged.
/// Errors    as decode_descriptor
[[nodiscard]] Result<SwarmPlan> plan_resuming(Checkpoint checkpoint, const Note& note);

/// Fills in the parameter layout, and checks all that the descriptor says before anything runs:
/// that this release builds the same layout as the founder's, that the model fits the data, and
/// that the model fits this machine's memory. A peer with --membership-only does not need it.
/// Errors    Unsupported (the swarm trains nothing), LayoutMismatch, Usage, BadValue, Oversized,
///           Corrupt (a checkpoint that does not fit the model)
[[nodiscard]] Result<void> lay_out(SwarmPlan& plan);

/// Checks that the model fits in the memory of the device that --device names, if that has one of its
/// own, before anybody hears of this peer. What `auto` takes it has looked at itself.
/// Errors    Usage: what is needed, what there is, and the largest batch that fits; or the operator
///           that has no kernel
[[nodiscard]] Result<void> check_device_memory(const SwarmPlan& plan, const PeerConfig& config);

}  // namespace starling::peer
