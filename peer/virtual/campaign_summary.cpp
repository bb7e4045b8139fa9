// The summary of a campaign, for programs and for people.

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "peer/virtual/campaign.hpp"

namespace starling::peer_virtual {

namespace {

/// Appends one line as printf formats it, at most 255 bytes of it.
[[gnu::format(printf, 2, 3)]] void append(std::string& out, const char* format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    out.append(line, static_cast<std::size_t>(std::clamp(length, 0, int{sizeof line} - 1)));
}

void append_quantiles(std::string& out, const char* name, const Quantiles& q) {
    append(
        out,
        ",\"%s\":{\"count\":%zu,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}",
        name,
        q.count,
        q.p50,
        q.p99,
        q.max
    );
}

void append_optional(std::string& out, const char* name, const std::optional<double>& value) {
    if (value) {
        append(out, ",\"%s\":%.3f", name, *value);
    } else {
        append(out, ",\"%s\":null", name);
    }
}

std::string averaging_json(const AveragingSummary& a) {
    std::string out;
    append(out, ",\"averaging\":{\"rule\":\"%s\"", a.rule.c_str());
    append(out, ",\"encoding\":\"%s\",\"params\":%zu", a.encoding.c_str(), a.parameters);
    append(out, ",\"exchanges\":%" PRIu64 ",\"aborted\":%" PRIu64, a.exchanges, a.aborted);
    append(out, ",\"busy\":%" PRIu64 ",\"promotions\":%" PRIu64, a.busy, a.promotions);
    out += ",\"exchanges_by_peer\":[";
    for (std::size_t i = 0; i < a.exchanges_by_peer.size(); ++i) {
        append(out, "%s%" PRIu64, i == 0 ? "" : ",", a.exchanges_by_peer[i]);
    }
    out += "]";
    append_quantiles(out, "exchange_seconds", a.exchange_time);
    append(out, ",\"bytes_per_exchange\":%.0f", a.bytes_per_exchange);
    append(out, ",\"waiting_share\":%.4f,\"error\":[", a.waiting_share);
    for (std::size_t i = 0; i < a.error.size(); ++i) {
        append(out, "%s[%.1f,%.4g]", i == 0 ? "" : ",", a.error[i].first, a.error[i].second);
    }
    return out + "]}";
}

std::string averaging_text(const AveragingSummary& a) {
    std::string out;
    append(out, "averaging        %s, %s, ", a.rule.c_str(), a.encoding.c_str());
    append(out, "%zu parameters\n", a.parameters);
    append(out, "exchanges        %" PRIu64 ", %" PRIu64 " aborted, ", a.exchanges, a.aborted);
    append(out, "%" PRIu64 " times busy, %.0f bytes each\n", a.busy, a.bytes_per_exchange);
    append(
        out,
        "exchange takes   p50 %.3f s, p99 %.3f s, max %.3f s\n",
        a.exchange_time.p50,
        a.exchange_time.p99,
        a.exchange_time.max
    );
    append(out, "training waits   %.1f %% of the time\n", 100.0 * a.waiting_share);
    for (const auto& [at, error] : a.error) {
        append(out, "from the mean    %.3g after %.0f s\n", error, at);
    }
    return out;
}

std::string training_json(const TrainingSummary& t) {
    std::string out;
    append(out, ",\"training\":{\"until\":\"%s\"", t.until.c_str());
    append(out, ",\"joined\":%zu", t.joined);
    append_quantiles(out, "join_seconds", t.join_time);
    append(out, ",\"resumed\":%zu,\"ended\":%zu,\"failed\":%zu", t.resumed, t.ended, t.failed);
    append_optional(out, "ended_after_seconds", t.ended_after);
    append(out, ",\"rounds\":%u,\"steps\":%" PRIu64, t.rounds, t.steps);
    append(out, ",\"samples\":%" PRIu64 "}", t.samples);
    return out;
}

std::string training_text(const TrainingSummary& t) {
    std::string out;
    append(out, "joined           %zu newcomers, ", t.joined);
    append(out, "p50 %.2f s, p99 %.2f s, ", t.join_time.p50, t.join_time.p99);
    append(out, "max %.2f s\n", t.join_time.max);
    append(out, "resumed          %zu times, %zu lives failed\n", t.resumed, t.failed);
    if (t.failed > 0) append(out, "last fault       %s\n", t.last_fault.c_str());
    append(out, "trained          %" PRIu64 " steps, %" PRIu64 " samples\n", t.steps, t.samples);
    if (t.until.empty()) return out;
    append(out, "until %s: ", t.until.c_str());
    if (t.ended_after) {
        append(out, "all %zu ended after %.1f s, %u rounds\n", t.ended, *t.ended_after, t.rounds);
    } else {
        append(out, "%zu ended in time\n", t.ended);
    }
    return out;
}

}  // namespace

std::string to_json(const CampaignSummary& s) {
    std::string out;
    append(out, "{\"event\":\"summary\",\"peers\":%zu,\"seed\":%" PRIu64, s.peers, s.seed);
    append(out, ",\"virtual_seconds\":%.1f,\"events\":%" PRIu64, s.virtual_seconds, s.events);
    append(out, ",\"trace\":\"%016" PRIx64 "\"", s.trace);
    append_optional(out, "formation_seconds", s.formation_seconds);
    append(out, ",\"crashes\":%zu,\"undetected\":%zu", s.crashes, s.undetected);
    append_quantiles(out, "detected_first_seconds", s.detected_first);
    append_quantiles(out, "detected_all_seconds", s.detected_all);
    append(out, ",\"false_suspicions\":%" PRIu64, s.false_suspicions);
    append(out, ",\"false_failures\":%" PRIu64, s.false_failures);
    append(out, ",\"datagram_bytes_per_second\":%.1f", s.datagram_bytes_per_second);
    append(out, ",\"stream_bytes_per_second\":%.1f", s.stream_bytes_per_second);
    append(out, ",\"datagrams_per_second\":%.2f", s.datagrams_per_second);
    append(out, ",\"partitioned\":%s", s.partitioned ? "true" : "false");
    append_optional(out, "heal_seconds", s.heal_seconds);
    if (s.averaging) out += averaging_json(*s.averaging);
    if (s.restarts > 0) append(out, ",\"restarts\":%zu", s.restarts);
    if (s.training) out += training_json(*s.training);
    append(out, ",\"whole\":%s}", s.whole_at_end ? "true" : "false");
    return out;
}

std::string to_text(const CampaignSummary& s) {
    std::string out;
    const auto seconds = [](const std::optional<double>& value) {
        return value ? std::to_string(*value).substr(0, 6) + " s" : std::string("never");
    };
    append(out, "peers            %zu, seed %" PRIu64 "\n", s.peers, s.seed);
    append(out, "virtual time     %.1f s, %" PRIu64 " events\n", s.virtual_seconds, s.events);
    append(out, "formed after     %s\n", seconds(s.formation_seconds).c_str());
    append(out, "crashes          %zu, undetected %zu\n", s.crashes, s.undetected);
    const auto row = [&](const char* name, const Quantiles& q) {
        append(out, "%s p50 %.2f s, p99 %.2f s, max %.2f s\n", name, q.p50, q.p99, q.max);
    };
    if (s.detected_first.count > 0) row("first detection ", s.detected_first);
    if (s.detected_all.count > 0) row("all know after  ", s.detected_all);
    append(out, "false alarms     %" PRIu64 " suspicions, ", s.false_suspicions);
    append(out, "%" PRIu64 " failures\n", s.false_failures);
    append(out, "sent per peer    %.0f B/s in ", s.datagram_bytes_per_second);
    append(out, "%.2f datagrams/s, ", s.datagrams_per_second);
    append(out, "%.0f B/s on streams\n", s.stream_bytes_per_second);
    if (s.partitioned) append(out, "healed after     %s\n", seconds(s.heal_seconds).c_str());
    if (s.averaging) out += averaging_text(*s.averaging);
    if (s.restarts > 0) append(out, "restarts         %zu\n", s.restarts);
    if (s.training) out += training_text(*s.training);
    append(out, "whole at the end %s\n", s.whole_at_end ? "yes" : "no");
    return out;
}

}  // namespace starling::peer_virtual
