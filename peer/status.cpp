#include "peer/status.hpp"

#include <cmath>
#include <fmt/format.h>
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

/// Names the direction in which datagrams vanish: most flapping in the field is a firewall.
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

void metric(
    std::string& out,
    std::string_view name,
    std::string_view kind,
    std::string_view help,
    double value
) {
    fmt::format_to(
        std::back_inserter(out),
        "# HELP starling_{0} {1}\n# TYPE starling_{0} {2}\nstarling_{0} {3}\n",
        name,
        help,
        kind,
        value
    );
}

void counter(std::string& out, std::string_view name, std::string_view help, std::uint64_t value) {
    metric(out, name, "counter", help, static_cast<double>(value));
}

void gauge(std::string& out, std::string_view name, std::string_view help, double value) {
    metric(out, name, "gauge", help, value);
}

std::uint64_t sealed_bytes(std::uint64_t bytes, std::uint64_t datagrams) {
    return bytes + membership::kSealOverhead * datagrams;
}

void membership_metrics(std::string& out, const StatusInputs& in) {
    const auto& c = in.membership;
    gauge(
        out,
        "members_live",
        "Members alive or suspect, this one included",
        static_cast<double>(in.view.live)
    );
    counter(out, "datagrams_sent_total", "Membership datagrams sent", c.datagrams_sent);
    counter(out, "datagrams_received_total", "Membership datagrams received", c.datagrams_received);
    counter(
        out,
        "datagram_bytes_sent_total",
        "Bytes of membership datagrams sent",
        sealed_bytes(c.bytes_sent, c.datagrams_sent)
    );
    counter(
        out,
        "datagram_bytes_received_total",
        "Bytes of membership datagrams received",
        sealed_bytes(c.bytes_received, c.datagrams_received)
    );
    counter(
        out,
        "datagrams_malformed_total",
        "Datagrams that were not sealed by this swarm's key or did not parse; never answered",
        c.malformed + in.seal.rejected
    );
    counter(
        out, "datagrams_foreign_total", "Datagrams of another swarm", c.foreign + in.seal.foreign
    );
    counter(
        out, "datagrams_replayed_total", "Datagrams heard before or too late", in.seal.replayed
    );
    counter(out, "statements_forged_total", "Statements with a wrong signature", c.forged);
    counter(
        out,
        "accusations_throttled_total",
        "Accusations above what one sender may make",
        c.throttled
    );
    counter(out, "probes_total", "Members probed", c.probes);
    counter(
        out, "probes_failed_total", "Probes without direct or indirect answer", c.probes_failed
    );
    counter(
        out, "refutations_total", "News of our own failure that we contradicted", c.refutations
    );
}

void link_metrics(std::string& out, const StatusInputs& in) {
    const auto& c = in.links;
    gauge(out, "connections", "Open streams", static_cast<double>(in.connections));
    counter(out, "streams_accepted_total", "Streams accepted", c.accepted);
    counter(out, "streams_dialled_total", "Streams dialled", c.dialled);
    counter(out, "dial_failures_total", "Dials that failed", c.dial_failures);
    counter(
        out, "streams_garbage_total", "Streams that were not ours or broke the framing", c.garbage
    );
    counter(out, "streams_refused_total", "Peers of another swarm refused", c.refused);
    counter(
        out,
        "frames_dropped_total",
        "Frames to partners that could not be reached",
        c.dropped_frames
    );
    counter(out, "stream_bytes_sent_total", "Bytes sent on streams", c.bytes_sent);
    counter(out, "stream_bytes_received_total", "Bytes received on streams", c.bytes_received);
    counter(out, "pages_malformed_total", "Push/pull pages that did not parse", in.bad_frames);
    counter(
        out,
        "push_pulls_refused_total",
        "Push/pulls not answered because too many answers were on their way",
        in.unanswered_pages
    );
}

void histogram(
    std::string& out, std::string_view name, std::string_view help, const DurationHistogram& times
) {
    out += fmt::format("# HELP starling_{0} {1}\n# TYPE starling_{0} histogram\n", name, help);
    const auto bucket = [&](std::string_view bound, std::uint64_t count) {
        out += fmt::format("starling_{}_bucket{{le=\"{}\"}} {}\n", name, bound, count);
    };
    for (std::size_t i = 0; i < DurationHistogram::kBounds.size(); ++i) {
        bucket(fmt::format("{}", to_seconds(DurationHistogram::kBounds[i])), times.up_to(i));
    }
    bucket("+Inf", times.count());
    out += fmt::format("starling_{}_sum {}\n", name, to_seconds(times.sum()));
    out += fmt::format("starling_{}_count {}\n", name, times.count());
}

void duration_metrics(std::string& out, const StatusInputs& in) {
    histogram(
        out,
        "probe_rtt_seconds",
        "From a probe's datagram to its direct answer",
        in.membership.round_trips
    );
    gauge(
        out,
        "probe_rtt_max_seconds",
        "The longest of them since the start",
        to_seconds(in.membership.round_trips.max())
    );
    histogram(out, "loop_lag_seconds", "How late the network thread came to what was due", in.lag);
    gauge(out, "loop_lag_max_seconds", "The longest lag since the start", to_seconds(in.lag.max()));
}

void violation_metrics(std::string& out, const gossip::AveragerCounters& counters) {
    out +=
        "# HELP starling_exchange_violations_total What ended exchanges that went wrong\n"
        "# TYPE starling_exchange_violations_total counter\n";
    for (std::size_t i = 1; i < counters.misdeeds.size(); ++i) {
        out += fmt::format(
            "starling_exchange_violations_total{{reason=\"{}\"}} {}\n",
            gossip::to_string(static_cast<gossip::Misdeed>(i)),
            counters.misdeeds[i]
        );
    }
}

void session_metrics(std::string& out, const SessionStatus& s) {
    const auto& r = s.record;
    const auto& a = s.averaging;
    counter(out, "steps_total", "Training steps", r.steps);
    counter(out, "samples_total", "Training samples of this peer", r.samples);
    counter(out, "swarm_samples_total", "Training samples of the whole swarm", s.swarm_samples);
    gauge(out, "samples_per_second", "Training speed", r.samples_per_s);
    gauge(out, "loss", "Running mean of the training loss", r.loss);
    gauge(out, "accuracy", "Estimated test accuracy, -1 before the first", r.accuracy);
    gauge(out, "spread", "Relative distance to recent partners", r.spread);
    gauge(out, "shards_owned", "Training shards that this peer trains on", r.shards);
    gauge(out, "shards_held", "Shards held", r.held);
    gauge(
        out,
        "shards_missing",
        "Shards that should be held and are not yet",
        static_cast<double>(s.shards_missing)
    );
    counter(out, "exchanges_started_total", "Exchanges opened", a.started);
    counter(out, "exchanges_committed_total", "Exchanges committed, in either role", a.committed);
    counter(out, "exchanges_busy_total", "Exchanges that found the partner busy", a.busy);
    counter(out, "exchanges_collapsed_total", "Requests that crossed the partner's", a.collapsed);
    counter(out, "exchanges_aborted_total", "Exchanges that ended early", a.aborted);
    counter(
        out,
        "half_applied_chunks_total",
        "Chunks that one side applied and the other may not have",
        a.half_applied_chunks
    );
    counter(
        out, "promotions_total", "Times that this peer began to count in the sum", a.promotions
    );
    counter(
        out, "exchange_frames_malformed_total", "Exchange frames that did not parse", a.malformed
    );
    counter(
        out,
        "exchange_payload_bytes_total",
        "Payload bytes exchanged, both directions",
        a.payload_bytes
    );
    violation_metrics(out, a);
    counter(
        out, "exchange_requests_refused_total", "Requests of others that we refused", a.refusals
    );
    counter(
        out, "refused_values_total", "Payloads refused for a NaN or an infinity", a.refused_values
    );
    counter(out, "shard_bytes_fetched_total", "Bytes of shards fetched from others", s.shard_bytes);
}

}  // namespace

std::string render_status(const StatusInputs& in) {
    json out;
    out["id"] = in.id.hex();
    out["swarm"] = in.swarm.hex();
    out["listen"] = in.listen.to_string();
    out["http"] = in.http.to_string();
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

std::string render_metrics(const StatusInputs& in) {
    std::string out;
    membership_metrics(out, in);
    link_metrics(out, in);
    duration_metrics(out, in);
    if (in.session) session_metrics(out, *in.session);
    return out;
}

}  // namespace starling::peer
