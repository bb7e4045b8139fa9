#include "peer/fleet/peer_view.hpp"

#include <nlohmann/json.hpp>

#include "base/json_text.hpp"

namespace starling::peer {
namespace {

using nlohmann::json;

json parse_object(std::string_view line) {
    auto object = json::parse(line, nullptr, /*allow_exceptions=*/false);
    return object.is_object() ? object : json();
}

void read(const json& object, const char* key, std::uint64_t& value) {
    const auto found = object.find(key);
    if (found != object.end() && found->is_number_unsigned()) value = found->get<std::uint64_t>();
}

void read(const json& object, const char* key, double& value) {
    const auto found = object.find(key);
    if (found != object.end() && found->is_number()) value = found->get<double>();
}

void read(const json& object, const char* key, std::optional<double>& value) {
    const auto found = object.find(key);
    if (found != object.end() && found->is_number()) value = found->get<double>();
}

void read(const json& object, const char* key, std::string& value) {
    const auto found = object.find(key);
    if (found != object.end() && found->is_string()) value = found->get<std::string>();
}

void read(const json& object, const char* key, bool& value) {
    const auto found = object.find(key);
    if (found != object.end() && found->is_boolean()) value = found->get<bool>();
}

/// Reads `{"auc":0.97,"ap":0.8}`.
std::vector<compute::Quality> read_qualities(const json& object, const char* key) {
    std::vector<compute::Quality> qualities;
    const auto found = object.find(key);
    if (found == object.end() || !found->is_object()) return qualities;
    for (const auto& [name, value] : found->items()) {
        const auto kind = compute::parse_quality_kind(name);
        if (kind && value.is_number()) qualities.push_back({*kind, value.get<double>()});
    }
    return qualities;
}

void apply_progress(PeerView& view, const json& object) {
    read(object, "state", view.state);
    read(object, "steps", view.steps);
    read(object, "samples", view.samples);
    read(object, "samples_per_s", view.samples_per_s);
    read(object, "loss", view.loss);
    read(object, "test_loss", view.test_loss);
    read(object, "accuracy", view.accuracy);
    const auto watched = read_qualities(object, "quality");
    if (!watched.empty()) view.quality = watched.front();
    read(object, "spread", view.spread);
    read(object, "exchanges", view.exchanges);
    read(object, "bytes", view.bytes);
    read(object, "shards", view.shards);
    read(object, "held", view.held);
    read(object, "members", view.members);
    read(object, "swarm_samples", view.swarm_samples);
    read(object, "target", view.target);
    read(object, "ghost", view.ghost);
}

void apply_final(PeerView& view, const json& object) {
    FinalReport report;
    read(object, "accuracy", report.accuracy);
    read(object, "loss", report.loss);
    report.qualities = read_qualities(object, "qualities");
    read(object, "goal", report.goal);
    read(object, "spread", report.spread);
    read(object, "seconds", report.seconds);
    read(object, "samples", report.samples);
    read(object, "steps", report.steps);
    read(object, "exchanges", report.exchanges);
    read(object, "bytes", report.bytes);
    read(object, "model", report.model);
    read(object, "share", report.share);
    view.state = "done";
    view.samples = report.samples;
    view.final_report = report;
}

}  // namespace

std::optional<FinalReport> PeerView::reached() const {
    if (final_report || !exit || !exit->ok() || steps == 0) return final_report;
    FinalReport last;
    last.accuracy = accuracy;
    last.loss = test_loss;
    if (quality) last.qualities = {*quality};
    last.spread = spread;
    last.samples = samples;
    last.steps = steps;
    last.exchanges = exchanges;
    return last;
}

PeerEvent apply_line(PeerView& view, std::string_view line) {
    const json object = parse_object(line);
    if (!object.is_object()) return {};
    std::string event;
    read(object, "event", event);
    PeerEvent result{PeerEventKind::Other, {}, {}};
    if (event == "listening") {
        result.kind = PeerEventKind::Listening;
        read(object, "id", view.id);
        read(object, "listen", view.listen);
        read(object, "http", view.http);
    } else if (event == "progress") {
        result.kind = PeerEventKind::Progress;
        apply_progress(view, object);
    } else if (event == "member") {
        result.kind = PeerEventKind::Member;
        read(object, "what", result.what);
        read(object, "id", result.member);
    } else if (event == "final") {
        result.kind = PeerEventKind::Final;
        apply_final(view, object);
    }
    return result;
}

std::optional<std::string> with_peer_index(std::string_view line, std::size_t index) {
    json object = parse_object(line);
    if (!object.is_object()) return {};
    object["peer"] = index;
    return json_text(object);
}

}  // namespace starling::peer
