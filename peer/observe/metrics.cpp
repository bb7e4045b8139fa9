#include "peer/observe/metrics.hpp"

#include <cmath>
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

void quality(Families& out, const compute::Quality& found) {
    ClientMetric metric;
    metric.label.push_back({"kind", std::string(compute::to_string(found.kind))});
    metric.gauge.value = found.value;
    const auto help = "Estimated quality of the model on the test set, by kind";
    add(out, "quality", help, MetricType::Gauge).metric.push_back(std::move(metric));
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

/// One counter of a struct of counters: its name in /metrics, its help, and its member.
template <class Counters>
struct CounterRow {
    std::string_view name;
    std::string_view help;
    std::uint64_t Counters::*member;
};

/// Returns whether a table has a row for each 64-bit counter of its struct, which also has `others`
/// bytes of other members. A counter that is only added to the struct does not compile.
template <class Counters, std::size_t rows>
constexpr bool covers(const CounterRow<Counters> (&)[rows], std::size_t others = 0) {
    return sizeof(Counters) == rows * sizeof(std::uint64_t) + others;
}

template <class Counters, std::size_t rows>
void counters(Families& out, const CounterRow<Counters> (&table)[rows], const Counters& values) {
    for (const auto& row : table) counter(out, row.name, row.help, values.*row.member);
}

using Swim = membership::SwimCounters;

constexpr CounterRow<Swim> kSwimRows[] = {
    {"datagrams_sent_total", "Membership datagrams sent", &Swim::datagrams_sent},
    {"datagrams_received_total", "Membership datagrams received", &Swim::datagrams_received},
    {"datagram_bytes_sent_total", "Bytes of membership datagrams sent", &Swim::bytes_sent},
    {"datagram_bytes_received_total",
     "Bytes of membership datagrams received",
     &Swim::bytes_received},
    {"datagrams_malformed_total",
     "Datagrams that were not sealed by this swarm's key or did not parse; never answered",
     &Swim::malformed},
    {"datagrams_foreign_total", "Datagrams of another swarm", &Swim::foreign},
    {"datagrams_reflected_total", "Datagrams that named us as their sender", &Swim::reflected},
    {"peers_held_apart_total", "Peers of which only claims were known", &Swim::held_apart},
    {"statements_forged_total", "Statements with a wrong signature", &Swim::forged},
    {"accusations_throttled_total", "Accusations above what one sender may make", &Swim::throttled},
    {"signatures_postponed_total",
     "Statements dropped because too many signatures came in a second",
     &Swim::postponed},
    {"records_unvouched_total",
     "Records dropped because their owner was never a member here",
     &Swim::unvouched},
    {"probes_total", "Members probed", &Swim::probes},
    {"probes_failed_total", "Probes without direct or indirect answer", &Swim::probes_failed},
    {"probes_by_stream_total",
     "Probes that no datagram answered, but a stream",
     &Swim::probes_by_stream},
    {"refutations_total", "News of our own failure that we contradicted", &Swim::refutations},
    {"identity_conflicts_total",
     "Claims of another process that runs with our identity",
     &Swim::conflicts},
};
static_assert(covers(kSwimRows, sizeof(DurationHistogram)));

constexpr CounterRow<LinkCounters> kLinkRows[] = {
    {"streams_accepted_total", "Streams accepted", &LinkCounters::accepted},
    {"streams_dialled_total", "Streams dialled", &LinkCounters::dialled},
    {"dial_failures_total", "Dials that failed", &LinkCounters::dial_failures},
    {"streams_garbage_total",
     "Streams that were not ours or broke the framing",
     &LinkCounters::garbage},
    {"streams_refused_total", "Peers of another swarm refused", &LinkCounters::refused},
    {"frames_dropped_total",
     "Frames to partners that could not be reached",
     &LinkCounters::dropped_frames},
    {"stream_bytes_sent_total", "Bytes sent on streams", &LinkCounters::bytes_sent},
    {"stream_bytes_received_total", "Bytes received on streams", &LinkCounters::bytes_received},
};
static_assert(covers(kLinkRows));

constexpr CounterRow<MembershipStreamCounters> kMembershipStreamRows[] = {
    {"membership_page_bytes_sent_total",
     "Bytes of membership sent on streams; with the datagrams, all that membership costs",
     &MembershipStreamCounters::page_bytes_sent},
    {"pages_malformed_total",
     "Push/pull pages that did not parse",
     &MembershipStreamCounters::malformed_pages},
    {"push_pulls_refused_total",
     "Push/pulls not answered because too many answers were on their way",
     &MembershipStreamCounters::refused_answers},
    {"pages_forged_total",
     "Push/pull pages with statements whose signature does not fit",
     &MembershipStreamCounters::forged_pages},
};
static_assert(covers(kMembershipStreamRows));

using Averaging = gossip::AveragerCounters;

constexpr CounterRow<Averaging> kAveragingRows[] = {
    {"exchanges_started_total", "Exchanges opened", &Averaging::started},
    {"exchanges_committed_total", "Exchanges committed, in either role", &Averaging::committed},
    {"exchanges_busy_total", "Exchanges that found the partner busy", &Averaging::busy},
    {"exchanges_collapsed_total", "Requests that crossed the partner's", &Averaging::collapsed},
    {"exchanges_aborted_total", "Exchanges that ended early", &Averaging::aborted},
    {"exchanges_refused_total", "Requests of ours that a partner refused", &Averaging::refused},
    {"half_applied_chunks_total",
     "Chunks that one side applied and the other may not have",
     &Averaging::half_applied_chunks},
    {"exchange_frames_malformed_total",
     "Exchange frames that did not parse",
     &Averaging::malformed},
    {"exchange_frames_stale_total",
     "Exchange frames of unknown or finished exchanges, and repeated ones",
     &Averaging::stale},
    {"exchange_payload_bytes_total",
     "Payload bytes exchanged, both directions",
     &Averaging::payload_bytes},
    {"refused_values_total",
     "Payloads refused for a NaN or an infinity",
     &Averaging::refused_values},
    {"exchange_requests_refused_total", "Requests of others that we refused", &Averaging::refusals},
    {"chunks_asked_again_total",
     "Offers that could not be decoded and were asked for once more",
     &Averaging::asked_again},
    {"promotions_total", "Times that this peer began to count in the sum", &Averaging::promotions},
    {"weight_changes_total",
     "Times that the weight of this peer in pairs changed, and the sum that they keep",
     &Averaging::weight_changes},
    {"weights_clipped_total",
     "Pairs whose weights differ by more than the bound, so that they moved the weighted sum",
     &Averaging::weights_clipped},
    {"weights_distrusted_total",
     "Claims of weights that had changed too often to be believed",
     &Averaging::weights_distrusted},
    {"round_fallbacks_total",
     "Rounds whose partner did not come, or could not",
     &Averaging::fallbacks},
};
static_assert(covers(kAveragingRows, sizeof(Averaging::misdeeds)));

/// Adds the counters of the sealing layer to those of the membership machine. The machine sees only
/// datagrams that were sealed for this swarm, and sees them without the bytes of their seal.
Swim with_seal(Swim counters, const SealCounters& seal) {
    counters.bytes_sent += membership::kSealOverhead * counters.datagrams_sent;
    counters.bytes_received += membership::kSealOverhead * counters.datagrams_received;
    counters.bytes_received += seal.introduction_bytes;
    counters.malformed += seal.rejected;
    counters.forged += seal.forged;
    counters.postponed += seal.postponed;
    counters.foreign += seal.foreign;
    return counters;
}

void membership_metrics(Families& out, const StatusInputs& in) {
    gauge(
        out,
        "members_live",
        "Members alive or suspect, this one included",
        static_cast<double>(in.view.live)
    );
    counters(out, kSwimRows, with_seal(in.membership, in.seal));
    counter(
        out, "datagrams_replayed_total", "Datagrams heard before or too late", in.seal.replayed
    );
}

void link_metrics(Families& out, const StatusInputs& in) {
    gauge(out, "connections", "Open streams", static_cast<double>(in.connections));
    gauge(
        out,
        "unreachable",
        "1 if members that tried could not dial this peer at the address that it announces",
        in.reach == Reach::NotReached ? 1.0 : 0.0
    );
    counters(out, kLinkRows, in.links);
    counters(out, kMembershipStreamRows, in.membership_streams);
    counter(
        out,
        "lines_dropped_total",
        "Lines on stdout or stderr that were dropped or lost: nobody read them, or the log was "
        "full",
        in.lines_dropped
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

void checkpoint_metrics(Families& out, const SessionStatus& s) {
    counter(out, "checkpoints_written_total", "Checkpoints written", s.checkpoints.written);
    counter(
        out,
        "checkpoints_failed_total",
        "Checkpoints that could not be written; /status says why",
        s.checkpoints.failed
    );
    gauge(
        out,
        "checkpoint_failing",
        "1 if the newest checkpoint could not be written",
        s.checkpoints.error.empty() ? 0.0 : 1.0
    );
    if (s.checkpoint_age) {
        gauge(
            out,
            "checkpoint_age_seconds",
            "How old the newest checkpoint on the disk is",
            to_seconds(*s.checkpoint_age)
        );
    }
}

void device_metrics(Families& out, const DeviceReport& device) {
    counter(
        out,
        "device_failures_total",
        "Times that the device which computes has failed; its last step was lost each time",
        device.failures
    );
    if (device.name.empty()) return;
    ClientMetric metric;
    metric.label = {{"device", device.name}, {"model", device.model}};
    metric.gauge.value = 1.0;
    add(out, "device_info", "The device that computes", MetricType::Gauge)
        .metric.push_back(std::move(metric));
    gauge(
        out,
        "device_memory_bytes",
        "Memory of the device that computes",
        static_cast<double>(device.memory_bytes)
    );
    gauge(
        out,
        "device_memory_used_bytes",
        "Memory that the model takes there, with its gradients and its optimizer",
        static_cast<double>(device.used_bytes)
    );
    gauge(
        out,
        "device_step_seconds",
        "Mean time of the last steps on the device, without waiting for data; 0 before the first",
        device.step_seconds
    );
}

void mixing_metrics(Families& out, const MixingStatus& mixing) {
    gauge(
        out,
        "weight",
        "How much this peer counts in weighted pairs; 0: its pairs are even",
        mixing.weight_log2 ? std::ldexp(1.0, *mixing.weight_log2) : 0.0
    );
    if (mixing.rate_factor) {
        gauge(
            out,
            "learning_rate_factor",
            "By how much scale= multiplies the learning rate",
            *mixing.rate_factor
        );
    }
    if (const auto& interval = mixing.interval) {
        gauge(
            out,
            "mix_interval_seconds",
            "From one exchange that this peer opens to the next",
            to_seconds(interval->interval())
        );
        gauge(
            out,
            "exchange_cost_share",
            "Share of the time that exchanges take from training",
            interval->cost_share()
        );
    }
}

void shard_metrics(Families& out, const SessionStatus& s) {
    counter(
        out,
        "shard_files_failed_total",
        "Times that shards could not be written; /status says why",
        s.shard_files.failed
    );
    counter(
        out,
        "shards_lost_total",
        "Shards in the data set's own files that are gone or have changed",
        s.shard_files.lost
    );
    counter(
        out,
        "shards_dropped_total",
        "Shards of others that went because of --cache",
        s.cache.dropped
    );
    gauge(
        out,
        "shard_cache_bytes",
        "Bytes of all shards that are held",
        static_cast<double>(s.cache.bytes)
    );
    gauge(out, "shards_owned", "Training shards that this peer trains on", s.record.shards);
    gauge(out, "shards_held", "Shards held", s.record.held);
    gauge(
        out,
        "shards_missing",
        "Shards that should be held and are not yet",
        static_cast<double>(s.shards_missing)
    );
}

void session_metrics(Families& out, const SessionStatus& s) {
    const auto& r = s.record;
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
        out,
        "damaged_records_total",
        "Records of the data that were left out, because they cannot be decoded",
        s.damaged_records
    );
    counter(
        out, "recoveries_total", "Times that diverged parameters gave way to others'", s.recoveries
    );
    checkpoint_metrics(out, s);
    shard_metrics(out, s);
    gauge(out, "samples_per_second", "Training speed", r.samples_per_s);
    gauge(out, "data_wait", "Share of time that steps wait for data, 0 to 1", s.data_wait);
    gauge(
        out,
        "longest_step_seconds",
        "Longest time from one step's end to the next one's, over the last 5 to 10 s",
        to_seconds(s.longest_step)
    );
    device_metrics(out, s.device);
    gauge(out, "loss", "Running mean of the training loss", r.loss);
    gauge(out, "test_loss", "Estimated test loss, -1 before the first", r.test_loss);
    gauge(out, "accuracy", "Estimated test accuracy, -1 before the first", r.accuracy);
    if (r.quality) quality(out, *r.quality);
    gauge(out, "spread", "Relative distance to recent partners", r.spread);
    mixing_metrics(out, s.mixing);
    counters(out, kAveragingRows, s.averaging);
    violation_metrics(out, s.averaging);
    counter(out, "shard_bytes_fetched_total", "Bytes of shards fetched from others", s.shard_bytes);
    counter(
        out,
        "shard_frames_rejected_total",
        "Requests and pieces of shards that were malformed or did not fit",
        s.shard_frames_rejected
    );
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
