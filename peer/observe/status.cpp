#include "peer/observe/status.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "base/printable.hpp"

namespace starling::peer {

namespace {

// The keys keep this order, which is that of the page.
using json = nlohmann::ordered_json;

std::string_view state_name(membership::MemberState state) {
    switch (state) {
        case membership::MemberState::Alive:
            return "alive";
        case membership::MemberState::Suspect:
            return "suspect";
        case membership::MemberState::Failed:
            return "failed";
        case membership::MemberState::Left:
            return "left";
    }
    return "unknown";
}

/// Names the direction in which datagrams vanish. Where members come and go all the time, the cause
/// is mostly a firewall.
std::string_view udp_name(const SeenPeer& peer) {
    if (!peer.udp_in) return "in blocked";
    return peer.udp_out ? "ok" : "out blocked";
}

json finite_or_null(double value) {
    return std::isfinite(value) ? json(value) : json(nullptr);
}

/// Without a state directory nothing is written, and nothing fails.
json checkpoints_json(const CheckpointReport& told, std::optional<Duration> age) {
    json out;
    out["written"] = told.written;
    out["failed"] = told.failed;
    out["error"] = told.error.empty() ? json(nullptr) : json(told.error);
    out["age_seconds"] = age ? json(to_seconds(*age)) : json(nullptr);
    return out;
}

json shard_files_json(const ShardFileReport& told) {
    json out;
    out["failed"] = told.failed;
    out["error"] = told.error.empty() ? json(nullptr) : json(told.error);
    out["lost"] = told.lost;
    out["lost_file"] = told.lost_file.empty() ? json(nullptr) : json(told.lost_file);
    return out;
}

/// Null before the engine is made.
json device_json(const DeviceReport& device) {
    if (device.name.empty()) return nullptr;
    json out;
    out["name"] = device.name;
    // A table shows the beginning.
    out["why"] = device.why.empty() ? json(nullptr) : json(device.why);
    out["model"] = device.model;
    out["memory_bytes"] = device.memory_bytes;
    out["used_bytes"] = device.used_bytes;
    out["step_seconds"] = device.step_seconds > 0 ? json(device.step_seconds) : json(nullptr);
    out["failures"] = device.failures;
    return out;
}

json cache_json(const CacheStatus& cache) {
    json out;
    out["bytes"] = cache.bytes;
    out["limit"] = cache.limit > 0 ? json(cache.limit) : json(nullptr);
    out["dropped"] = cache.dropped;
    return out;
}

json member_json(
    const PeerId& id, const Endpoint& address, std::string_view state, const Record* record
) {
    json out;
    out["id"] = id.hex();
    out["name"] = record != nullptr && !record->name.empty() ? json(record->name) : json(nullptr);
    out["address"] = address.to_string();
    out["state"] = state;
    if (record == nullptr) return out;
    out["training"] = to_string(record->state);
    out["steps"] = record->steps;
    out["samples_per_s"] = finite_or_null(record->samples_per_s);
    out["loss"] = record->steps > 0 ? finite_or_null(record->loss) : json(nullptr);
    out["test_loss"] = record->test_loss >= 0 ? finite_or_null(record->test_loss) : json(nullptr);
    out["accuracy"] = record->accuracy >= 0 ? finite_or_null(record->accuracy) : json(nullptr);
    if (record->quality) {
        out["quality"] = {
            {std::string(compute::to_string(record->quality->kind)),
             finite_or_null(record->quality->value)}};
    } else {
        out["quality"] = nullptr;
    }
    out["spread"] = finite_or_null(record->spread);
    out["exchanges"] = record->exchanges;
    out["shards"] = record->shards;
    out["samples"] = record->samples;
    out["held"] = record->held;
    out["round"] = record->round;
    out["ghost"] = record->ghost;
    out["learned"] = record->learned;
    return out;
}

/// Says for people what an interval follows from.
std::string_view reason(gossip::IntervalBy by) {
    using By = gossip::IntervalBy;
    switch (by) {
        case By::Start:
            return "no exchange has been measured yet";
        case By::Fixed:
            return "so much time was asked for";
        case By::Steps:
            return "exchanges cost so little that one follows each step";
        case By::Cost:
            return "exchanges take as much of the time as they may";
        case By::Spread:
            return "peers would drift too far apart if it were longer";
        case By::Upload:
            return "the upload limit allows no more";
        case By::Link:
            return "exchanges take longer than it, so the next begins when the last has ended";
        case By::Alone:
            return "there is nobody to exchange with";
    }
    return "unknown";
}

json mixing_json(const MixingStatus& s) {
    json out;
    out["weight"] = s.weight_log2 ? json(std::ldexp(1.0, *s.weight_log2)) : json(nullptr);
    out["every"] = s.every;
    if (s.rate_factor) out["learning_rate_times"] = *s.rate_factor;
    if (!s.interval) return out;
    out["interval_seconds"] = to_seconds(s.interval->interval());
    out["by"] = to_string(s.interval->by());
    out["why"] = reason(s.interval->by());
    out["cost_share"] = finite_or_null(s.interval->cost_share());
    out["target_spread"] = s.target_spread;
    return out;
}

/// Says what leaves this machine, and whose samples take part.
json private_json(const StatusInputs& in) {
    const auto samples = sample_share(in.view, in.session->record.own_train);
    const auto share = samples.share();
    json out;
    out["leaves"] = {"parameters", "number of samples"};
    if (!in.session->silent_quality) {
        out["leaves"].push_back("loss");
        out["leaves"].push_back("quality");
    }
    out["own_samples"] = in.session->record.own_train;
    out["samples_of_the_living"] = samples.lasting;
    out["samples_of_all"] = samples.all;
    out["share"] = share ? json(*share) : json(nullptr);
    out["shard_requests_denied"] = in.session->shard_requests_denied;
    return out;
}

/// Says what this peer judges by, of splits that nobody need hold whole.
json judging_json(const JudgingStatus& judging) {
    json out;
    out["portions"] = judging.portions;
    out["portions_of_all"] = judging.portions_of_all;
    out["bytes"] = judging.bytes;
    out["bytes_of_all"] = judging.bytes_of_all;
    out["judged"] = judging.judged ? json(*judging.judged) : json(nullptr);
    out["off"] = json::array();
    for (const auto& peer : judging.off) out["off"].push_back(peer.hex());
    out["we_differ"] = judging.we_differ;
    return out;
}

/// Null: nobody has tried yet.
json reachable_json(const std::optional<bool>& reachable) {
    return reachable ? json(*reachable) : json(nullptr);
}

}  // namespace

std::string render_status(const StatusInputs& in) {
    json out;
    out["id"] = in.id.hex();
    out["swarm"] = in.swarm.hex();
    out["listen"] = in.listen.to_string();
    out["http"] = in.http.to_string();
    out["reachable"] = reachable_json(reachable(in.reach));
    out["live"] = in.view.live;
    auto self = member_json(in.id, in.listen, "alive", in.session ? &in.session->record : nullptr);
    self["name"] = in.name.empty() ? json(nullptr) : json(in.name);
    self["self"] = true;
    self["udp"] = nullptr;
    self["heard_s_ago"] = 0.0;
    self["reachable"] = out["reachable"];
    self["epoch"] = in.incarnation.epoch;
    if (in.session) {
        if (!in.session->waiting.empty()) out["waiting"] = in.session->waiting;
        out["swarm_samples"] = in.session->swarm_samples;
        out["shards_missing"] = in.session->shards_missing;
        if (in.session->damaged_records > 0) out["damaged_records"] = in.session->damaged_records;
        out["data_wait"] = finite_or_null(in.session->data_wait);
        out["longest_step_ms"] = finite_or_null(1e3 * to_seconds(in.session->longest_step));
        out["device"] = device_json(in.session->device);
        out["mixing"] = mixing_json(in.session->mixing);
        out["checkpoints"] = checkpoints_json(in.session->checkpoints, in.session->checkpoint_age);
        out["shard_files"] = shard_files_json(in.session->shard_files);
        out["cache"] = cache_json(in.session->cache);
        if (in.session->judging.portions_of_all > 0) {
            out["judging"] = judging_json(in.session->judging);
        }
        if (in.session->private_samples) out["private"] = private_json(in);
    }
    out["members"] = json::array();
    out["members"].push_back(std::move(self));
    for (const auto& peer : in.view.others) {
        auto member = member_json(
            peer.id, peer.address, state_name(peer.state), peer.newest() ? &*peer.newest() : nullptr
        );
        member["self"] = false;
        member["udp"] = udp_name(peer);
        // Counters come now and then only; what decides comes at once.
        member["heard_s_ago"] =
            peer.heard ? finite_or_null(to_seconds(in.now - *peer.heard)) : json(nullptr);
        member["reachable"] =
            reachable_json(peer.newest() ? peer.newest()->reachable : std::optional<bool>());
        out["members"].push_back(std::move(member));
    }
    // A path in an error need not be UTF-8.
    return printable(json_text(out));
}

}  // namespace starling::peer
