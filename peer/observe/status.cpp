#include "peer/observe/status.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace starling::peer {

namespace {

using nlohmann::json;

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

void put_record(json& out, const Record& record) {
    out["training"] = to_string(record.state);
    out["steps"] = record.steps;
    out["samples"] = record.samples;
    out["samples_per_s"] = finite_or_null(record.samples_per_s);
    out["loss"] = record.steps > 0 ? finite_or_null(record.loss) : json(nullptr);
    out["accuracy"] = record.accuracy >= 0 ? finite_or_null(record.accuracy) : json(nullptr);
    out["spread"] = finite_or_null(record.spread);
    out["exchanges"] = record.exchanges;
    out["shards"] = record.shards;
    out["held"] = record.held;
    out["round"] = record.round;
}

}  // namespace

std::string render_status(const StatusInputs& in) {
    json out;
    out["id"] = in.id.hex();
    out["swarm"] = in.swarm.hex();
    out["listen"] = in.listen.to_string();
    out["http"] = in.http.to_string();
    // Null: nobody has tried yet.
    out["reachable"] =
        in.reach == Reach::Unknown ? json(nullptr) : json(in.reach == Reach::Reached);
    out["live"] = in.view.live;
    json self;
    self["id"] = in.id.hex();
    self["address"] = in.listen.to_string();
    self["state"] = "alive";
    self["self"] = true;
    self["udp"] = nullptr;
    self["epoch"] = in.incarnation.epoch;
    if (in.session) {
        put_record(self, in.session->record);
        out["swarm_samples"] = in.session->swarm_samples;
        out["shards_missing"] = in.session->shards_missing;
    }
    out["members"] = json::array({self});
    for (const auto& peer : in.view.others) {
        json member;
        member["id"] = peer.id.hex();
        member["address"] = peer.address.to_string();
        member["state"] = state_name(peer.state);
        member["self"] = false;
        member["udp"] = udp_name(peer);
        if (peer.record) put_record(member, *peer.record);
        out["members"].push_back(std::move(member));
    }
    return out.dump();
}

}  // namespace starling::peer
