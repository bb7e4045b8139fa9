#include "peer/metrics.hpp"

#include <limits>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace starling::peer {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Families = std::vector<MetricFamily>;

MetricFamily& add(Families& out, std::string_view name, std::string_view help, MetricType type) {
    out.push_back({"starling_" + std::string(name), std::string(help), type, {}});
    return out.back();
}

void counter(Families& out, std::string_view name, std::string_view help, std::uint64_t value) {
    ClientMetric metric;
    metric.counter.value = static_cast<double>(value);
    add(out, name, help, MetricType::Counter).metric.push_back(std::move(metric));
}

void gauge(Families& out, std::string_view name, std::string_view help, double value) {
    ClientMetric metric;
    metric.gauge.value = value;
    add(out, name, help, MetricType::Gauge).metric.push_back(std::move(metric));
}

void histogram(
    Families& out, std::string_view name, std::string_view help, const DurationHistogram& times
) {
    ClientMetric metric;
    auto& into = metric.histogram;
    for (std::size_t i = 0; i < DurationHistogram::kBounds.size(); ++i) {
        into.bucket.push_back({times.up_to(i), to_seconds(DurationHistogram::kBounds[i])});
    }
    into.bucket.push_back({times.count(), std::numeric_limits<double>::infinity()});
    into.sample_count = times.count();
    into.sample_sum = to_seconds(times.sum());
    add(out, name, help, MetricType::Histogram).metric.push_back(std::move(metric));
}

std::uint64_t sealed_bytes(std::uint64_t bytes, std::uint64_t datagrams) {
    return bytes + membership::kSealOverhead * datagrams;
}

void membership_metrics(Families& out, const StatusInputs& in) {
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

void link_metrics(Families& out, const StatusInputs& in) {
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

void duration_metrics(Families& out, const StatusInputs& in) {
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

void violation_metrics(Families& out, const gossip::AveragerCounters& counters) {
    auto& family =
        add(out,
            "exchange_violations_total",
            "What ended exchanges that went wrong",
            MetricType::Counter);
    for (std::size_t i = 1; i < counters.misdeeds.size(); ++i) {
        ClientMetric metric;
        const auto reason = gossip::to_string(static_cast<gossip::Misdeed>(i));
        metric.label = {{"reason", std::string(reason)}};
        metric.counter.value = static_cast<double>(counters.misdeeds[i]);
        family.metric.push_back(std::move(metric));
    }
}

void session_metrics(Families& out, const SessionStatus& s) {
    const auto& r = s.record;
    const auto& a = s.averaging;
    counter(out, "steps_total", "Training steps", r.steps);
    counter(out, "samples_total", "Training samples of this peer", r.samples);
    counter(out, "swarm_samples_total", "Training samples of the whole swarm", s.swarm_samples);
    counter(
        out,
        "unsound_steps_total",
        "Batches without a finite loss: they changed nothing",
        s.unsound_steps
    );
    counter(
        out, "recoveries_total", "Times that diverged parameters gave way to others'", s.recoveries
    );
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

std::string render_metrics(const StatusInputs& in) {
    Families families;
    membership_metrics(families, in);
    link_metrics(families, in);
    duration_metrics(families, in);
    if (in.session) session_metrics(families, *in.session);
    return prometheus::TextSerializer().Serialize(families);
}

}  // namespace starling::peer
