#include "peer/fleet/outcome.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

#include "peer/machine/exit_codes.hpp"

namespace starling::peer {
namespace {

/// Returns why a peer that should have survived did not end well, or an empty text.
std::string explain(const PeerView& peer, const Until& target) {
    const std::string who = fmt::format("peer {} ", peer.index);
    const std::string said =
        peer.last_error_line.empty() ? "" : "; it last said: " + peer.last_error_line;
    if (!peer.exit) return who + "is still running";
    if (!peer.exit->ok()) return who + "ended with " + peer.exit->to_string() + said;
    if (!peer.final_report) return who + "ended without a final report" + said;
    const auto& report = *peer.final_report;
    const bool wants_accuracy = target.kind == UntilKind::Accuracy;
    if (wants_accuracy && report.accuracy.value_or(-1) < target.value) {
        return who +
               (report.accuracy ? fmt::format("reached accuracy {:.4f}", *report.accuracy)
                                : std::string("reported no accuracy")) +
               fmt::format(", the target was {}", target.value);
    }
    const bool wants_loss = target.kind == UntilKind::Loss;
    if (wants_loss && (!report.loss || !(*report.loss <= target.value))) {
        return who +
               (report.loss ? fmt::format("reached loss {:.4f}", *report.loss)
                            : std::string("reported no loss")) +
               fmt::format(", the target was {}", target.value);
    }
    return {};
}

nlohmann::json or_null(const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

}  // namespace

Verdict judge(const std::vector<PeerView>& peers, const Until& target) {
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
        const auto reached = peer.reached();
        if (!reached || peer.killed_by_chaos) continue;
        const auto& report = *reached;
        summary["peers"].push_back(
            {{"id", peer.id},
             {"peer", peer.index},
             {"accuracy", or_null(report.accuracy)},
             {"loss", or_null(report.loss)},
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
    return summary.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace starling::peer
