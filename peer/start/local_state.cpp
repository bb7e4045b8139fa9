#include "peer/start/local_state.hpp"

#include <string>
#include <utility>

#include "peer/crypto/seal.hpp"
#include "peer/machine/files.hpp"
#include "peer/machine/private_folder.hpp"

namespace starling::peer {

namespace {

constexpr const char* kKeyFile = "swarm.key";

/// Returns whether this peer founds a swarm that trains nothing.
bool founds_members_only(const PeerConfig& config, const std::optional<Checkpoint>& checkpoint) {
    return config.join.empty() && !checkpoint && config.membership_only;
}

/// A directory may have been there before, or an earlier release may have written in it what others may
/// read. Keys are left to those who read them: one that others could read is no secret any more.
Result<void> close_state(const PeerConfig& config, LocalState& ours) {
    const auto closed = close_to_others(
        config.state, {.untouched = {"identity.key", kKeyFile}, .folders = {"shards", "parameters"}}
    );
    if (closed.has_error()) return closed.error();
    if (*closed) {
        ours.notes.push_back(
            config.state.string() +
            ": other users could read it or what lies in it; now only its owner can"
        );
    }
    return {};
}

Result<void> load_checkpoint(const PeerConfig& config, LocalState& ours) {
    if (config.state.empty()) return {};
    auto lock = lock_state_directory(config.state);
    if (lock.has_error()) return lock.error();
    ours.lock.emplace(std::move(*lock));
    if (auto ok = close_state(config, ours); ok.has_error()) return ok;
    remove_torn_checkpoint(real_disk(), config.state);
    auto checkpoint = read_checkpoint(real_disk(), config.state);
    if (checkpoint.has_value()) {
        ours.checkpoint = std::move(*checkpoint);
    } else if (checkpoint.error().code != FaultCode::NotFound) {
        return checkpoint.error();
    }
    // The peer also runs without these addresses, so a damaged file is no reason not to.
    if (auto book = read_address_book(config.state)) ours.book = std::move(*book);
    return {};
}

Result<Identity> identity_for(const PeerConfig& config) {
    if (config.state.empty()) return ephemeral_identity();
    auto identity = load_identity(config.state);
    if (identity.has_error()) return identity;
    if (identity->epoch >= kLivesMax) {
        return worn_out(config.state);
    }
    return identity;
}

/// Checks that a peer that resumes keeps its key. Nothing else would notice another one: the peer
/// would write it over that of its swarm, perhaps the only copy, and never understand a datagram.
Result<void> check_kept_key(const PeerConfig& config, const LocalState& ours) {
    if (!ours.checkpoint || config.key.empty()) return {};
    const auto path = config.state / kKeyFile;
    const auto kept = read_swarm_key(path);
    // One that is missing or damaged may be replaced.
    if (kept.has_error() || *kept == *ours.key) return {};
    return fail(
        FaultCode::Usage,
        "--key: " + config.key.string() + " is another key than " + path.string() +
            " of the swarm that this peer resumes; leave --key out"
    );
}

Result<void> load_key(const PeerConfig& config, LocalState& ours) {
    const auto path = key_path(config);
    if (path.empty()) return {};
    std::error_code ignored;  // if exists() fails, reading fails below and gives the message
    if (config.key.empty() && !std::filesystem::exists(path, ignored)) {
        // Only a founder with a state directory makes a key. A joiner needs one that it was given.
        if (!founds(config, ours.checkpoint) && !founds_members_only(config, ours.checkpoint)) {
            return {};
        }
        ours.key = random_swarm_key();
        return write_swarm_key(path, *ours.key);
    }
    auto key = read_swarm_key(path);
    if (key.has_error()) return fail(FaultCode::Usage, key.error().message);
    ours.key = *key;
    return check_kept_key(config, ours);
}

}  // namespace

Fault worn_out(const std::filesystem::path& state) {
    return fail(
        FaultCode::Usage,
        (state / "epoch").string() +
            ": this identity has started too often; "
            "remove identity.key and epoch there to become a new peer"
    );
}

bool founds(const PeerConfig& config, const std::optional<Checkpoint>& checkpoint) {
    return config.join.empty() && !checkpoint && !config.membership_only;
}

std::filesystem::path key_path(const PeerConfig& config) {
    if (!config.key.empty() || config.state.empty()) return config.key;
    return config.state / kKeyFile;
}

Result<LocalState> open_local_state(const PeerConfig& config) {
    LocalState ours;
    if (auto ok = load_checkpoint(config, ours); ok.has_error()) return ok.error();
    auto identity = identity_for(config);
    if (identity.has_error()) return identity.error();
    ours.identity = std::move(*identity);
    if (founds(config, ours.checkpoint) && config.dataset.empty()) {
        return fail(
            FaultCode::Usage,
            "nothing to train on: " + config.state.string() +
                " holds no checkpoint; give --dataset SPEC to found a swarm, or --join HOST:PORT"
        );
    }
    if (auto ok = load_key(config, ours); ok.has_error()) return ok.error();
    return ours;
}

Result<SwarmKey> choose_key(
    const PeerConfig& config,
    const std::optional<SwarmKey>& own,
    const Descriptor& descriptor,
    const SwarmId& swarm
) {
    if (!descriptor.keyed) {
        if (!config.key.empty()) {
            return fail(
                FaultCode::Usage,
                "--key: swarm " + swarm.short_string() +
                    " is open, nothing in it is secret; leave --key out to join it all the same"
            );
        }
        return open_swarm_key(swarm);
    }
    if (!own) {
        return fail(
            FaultCode::Usage,
            "swarm " + swarm.short_string() +
                " needs a key: copy swarm.key from the founder's state directory and give --key "
                "FILE"
        );
    }
    if (!config.state.empty()) {
        const auto path = config.state / kKeyFile;
        const auto kept = read_swarm_key(path);
        // A full disk has no room for what is there already.
        if (kept.has_value() && *kept == *own) return *own;
        if (auto ok = write_swarm_key(path, *own); ok.has_error()) return ok.error();
    }
    return *own;
}

}  // namespace starling::peer
