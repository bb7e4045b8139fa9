#include "peer/swarm/outcome.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "peer/commands/commands.hpp"

namespace starling::peer {
namespace {

/// Returns why a peer that should have survived did not end well, or an empty text.
std::string explain(const PeerView& peer, const Target& target) {
    const std::string who = fmt::format("peer {} ", peer.index);
    const std::string said =
        peer.last_error_line.empty() ? "" : "; it last said: " + peer.last_error_line;
    if (!peer.exit) return who + "is still running";
    if (!peer.exit->ok()) return who + "ended with " + peer.exit->to_string() + said;
    if (!peer.final_report) return who + "ended without a final report" + said;
    const auto& report = *peer.final_report;
    if (target.accuracy_min && report.accuracy.value_or(-1) < *target.accuracy_min) {
        return who +
               (report.accuracy ? fmt::format("reached accuracy {:.4f}", *report.accuracy)
                                : std::string("reported no accuracy")) +
               fmt::format(", the target was {}", *target.accuracy_min);
    }
    if (target.loss_max && (!report.loss || !(*report.loss <= *target.loss_max))) {
        return who +
               (report.loss ? fmt::format("reached loss {:.4f}", *report.loss)
                            : std::string("reported no loss")) +
               fmt::format(", the target was {}", *target.loss_max);
    }
    return {};
}

nlohmann::json or_null(const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

}  // namespace

Result<Target> Target::parse(std::string_view until) {
    static constexpr std::array kNames = {"samples", "steps", "epochs", "accuracy", "loss"};
    Target target;
    if (until.empty()) return target;
    const auto equals = until.find('=');
    const auto name = until.substr(0, equals);
    const auto text = equals == std::string_view::npos ? "" : until.substr(equals + 1);
    double value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool known = std::find(kNames.begin(), kNames.end(), name) != kNames.end();
    const bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
    if (!known || !whole || !(value > 0)) {
        return fail(
            FaultCode::Usage,
            "--until: '" + std::string(until) +
                "' is not allowed; use samples=N, steps=N, epochs=N, accuracy=X or loss=X"
        );
    }
    if (name == "accuracy") target.accuracy_min = value;
    if (name == "loss") target.loss_max = value;
    return target;
}

Verdict judge(const std::vector<PeerView>& peers, const Target& target) {
    bool any = false;
    for (const auto& peer : peers) {
        if (peer.killed_by_chaos) continue;
        any = true;
        auto reason = explain(peer, target);
        if (!reason.empty()) return {kExitFailed, std::move(reason)};
    }
    if (!any) return {kExitFailed, "no peer survived"};
    return {kExitDone, {}};
}

Totals add_up(const std::vector<PeerView>& peers, double seconds) {
    Totals totals;
    totals.seconds = seconds;
    for (const auto& peer : peers) {
        totals.samples += peer.samples;
        if (peer.final_report) totals.bytes += peer.final_report->bytes;
    }
    if (seconds > 0) totals.samples_per_s = static_cast<double>(totals.samples) / seconds;
    return totals;
}

std::string summary_json(const std::vector<PeerView>& peers, double seconds) {
    const Totals totals = add_up(peers, seconds);
    nlohmann::ordered_json summary;
    summary["event"] = "summary";
    summary["peers"] = nlohmann::ordered_json::array();
    for (const auto& peer : peers) {
        if (!peer.final_report || peer.killed_by_chaos) continue;
        const auto& report = *peer.final_report;
        summary["peers"].push_back(
            {{"id", peer.id},
             {"peer", peer.index},
             {"accuracy", or_null(report.accuracy)},
             {"loss", or_null(report.loss)},
             {"samples", report.samples},
             {"steps", report.steps},
             {"spread", report.spread},
             {"exchanges", report.exchanges}}
        );
    }
    summary["seconds"] = totals.seconds;
    summary["samples"] = totals.samples;
    summary["bytes"] = totals.bytes;
    summary["samples_per_s"] = totals.samples_per_s;
    return summary.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace starling::peer
