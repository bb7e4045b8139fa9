#include "peer/fleet/outcome.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json_text.hpp"
#include "peer/machine/exit_codes.hpp"

namespace starling::peer {
namespace {

/// Peers of older releases report no goal. Theirs is an accuracy or a loss.
std::optional<double> goal_of(const FinalReport& report, compute::QualityKind kind) {
    if (report.goal) return report.goal;
    if (kind == compute::QualityKind::Accuracy) return report.accuracy;
    return kind == compute::QualityKind::Loss ? report.loss : std::nullopt;
}

/// Returns why a peer that should have survived did not end well, or an empty text.
std::string explain(const PeerView& peer, const Until& target) {
    const std::string who = fmt::format("peer {} ", peer.index);
    const std::string said =
        peer.last_error_line.empty() ? "" : "; it last said: " + peer.last_error_line;
    if (!peer.exit) return who + "is still running";
    if (!peer.exit->ok()) return who + "ended with " + peer.exit->to_string() + said;
    if (!peer.final_report) return who + "ended without a final report" + said;
    const auto& report = *peer.final_report;
    const auto kind = target.quality();
    if (!kind) return {};
    const auto goal = goal_of(report, *kind);
    const compute::Quality wanted{*kind, target.value};
    if (goal && compute::Quality{*kind, *goal}.reaches(wanted)) return {};
    const auto name = compute::to_string(*kind);
    return who +
           (goal ? fmt::format("reached {} {:.4f}", name, *goal)
                 : fmt::format("reported no {}", name)) +
           fmt::format(", the target was {}", target.value);
}

nlohmann::json or_null(const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

nlohmann::json qualities_json(const std::vector<compute::Quality>& qualities) {
    auto out = nlohmann::json::object();
    for (const auto& one : qualities) out[std::string(compute::to_string(one.kind))] = one.value;
    return out;
}

}  // namespace

Verdict judge(const std::vector<PeerView>& peers, const Until& target) {
    bool any = false;
    for (const auto& peer : peers) {
        if (peer.hit) continue;
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
        if (!peer.final_report) continue;
        totals.bytes += peer.final_report->bytes;
        // Who ends early has not seen who dies after it.
        const auto& share = peer.final_report->share;
        if (share) totals.share = std::min(totals.share.value_or(*share), *share);
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
        const auto reached = peer.reached();
        if (!reached || peer.hit) continue;
        const auto& report = *reached;
        summary["peers"].push_back(
            {{"id", peer.id},
             {"peer", peer.index},
             {"accuracy", or_null(report.accuracy)},
             {"loss", or_null(report.loss)},
             {"qualities", qualities_json(report.qualities)},
             {"samples", report.samples},
             {"steps", report.steps},
             {"spread", report.spread},
             {"exchanges", report.exchanges},
             {"model",
              report.model.empty() ? nlohmann::json(nullptr) : nlohmann::json(report.model)},
             {"final", peer.final_report.has_value()}}
        );
    }
    summary["seconds"] = totals.seconds;
    summary["samples"] = totals.samples;
    summary["bytes"] = totals.bytes;
    summary["samples_per_s"] = totals.samples_per_s;
    if (totals.share) summary["share"] = *totals.share;
    return json_text(summary);
}

}  // namespace starling::peer
