#include "peer/scenario/report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json_text.hpp"
#include "base/printable.hpp"
#include "peer/scenario/schedule.hpp"

namespace starling::scenario {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json, int indent) {
    return json_text(json, JsonCharacters::All, indent);
}

Json seconds_or_null(const Run& run, const std::optional<Instant>& at) {
    return at ? Json(to_seconds(*at - run.began)) : Json(nullptr);
}

Json seconds_or_null(const std::optional<Duration>& time) {
    return time ? Json(to_seconds(*time)) : Json(nullptr);
}

template <class T>
Json or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

Json findings_json(const Judge& judge) {
    auto list = Json::array();
    for (const auto& finding : judge.findings()) {
        auto evidence = Json::array();
        for (const auto& line : finding.evidence) evidence.push_back(printable(line));
        list.push_back(
            {{"what", printable(finding.what)}, {"at", finding.at}, {"evidence", evidence}}
        );
    }
    return list;
}

Json faults_json(const Run& run) {
    auto list = Json::array();
    for (const auto& entry : run.plan.entries()) {
        list.push_back(
            {{"name", printable(entry.step.name)},
             {"line", entry.step.place.line},
             {"do", to_string(entry.step.action)},
             {"state", to_string(entry.state)},
             {"asked", seconds_or_null(run, entry.asked)},
             {"done", seconds_or_null(run, entry.done)},
             {"undone", seconds_or_null(run, entry.undone)},
             {"why", printable(entry.why)}}
        );
    }
    return list;
}

Json measures_json(const Judge& judge) {
    const auto& m = judge.measures();
    return {
        {"whole_within", m.whole_max},
        {"times_whole", m.times_whole},
        {"no_exchange_for", m.exchange_gap},
        {"training_gap", m.training_gap},
        {"false_failures", m.false_failures},
        {"failures", m.failures},
        {"suspicions", m.suspicions},
        {"faults", m.faults},
        {"slowness", judge.slowness()}};
}

Json expect_json(const Expect& expect) {
    return {
        {"reach", expect.reach},
        {"whole_within", seconds_or_null(expect.whole_within)},
        {"no_exchange_for", seconds_or_null(expect.no_exchange_for)},
        {"training_gap", seconds_or_null(expect.training_gap)},
        {"false_failures", or_null(expect.false_failures)},
        {"failures", or_null(expect.failures)},
        {"suspicions", or_null(expect.suspicions)},
        {"progress", expect.progress},
        {"shards", expect.shards},
        {"mean_kept", expect.mean_kept},
        {"memory_growth", or_null(expect.memory_growth)},
        {"spread", or_null(expect.spread)}};
}

Json series_json(const History& history) {
    Json series;
    series["seconds"] = history.times();
    series["peers"] = Json::array();
    std::size_t number = 0;
    for (const auto& samples : history.peers()) {
        Json peer = {{"peer", ++number}};
        for (const char* key :
             {"state",
              "steps",
              "exchanges",
              "members",
              "bytes",
              "memory",
              "descriptors",
              "spread"}) {
            peer[key] = Json::array();
        }
        peer["accuracy"] = peer["loss"] = Json::array();
        for (const auto& sample : samples) {
            peer["state"].push_back(printable(sample.state));
            peer["steps"].push_back(sample.steps);
            peer["exchanges"].push_back(sample.exchanges);
            peer["members"].push_back(sample.members);
            peer["bytes"].push_back(sample.bytes);
            peer["memory"].push_back(sample.memory);
            peer["descriptors"].push_back(sample.descriptors);
            peer["spread"].push_back(sample.spread);
            peer["accuracy"].push_back(or_null(sample.accuracy));
            peer["loss"].push_back(or_null(sample.loss));
        }
        series["peers"].push_back(std::move(peer));
    }
    return series;
}

Json head(const Run& run) {
    return {
        {"scenario", printable(run.scenario.name)},
        {"seed", run.scenario.seed},
        {"mode", run.mode == Mode::Simulate ? "simulate" : "swarm"},
        {"clean", run.judge.count() == 0},
        {"seconds", run.seconds},
        {"phase", to_string(run.plan.phase())},
        {"faults_carried_out", carried_out(run.plan)}};
}

}  // namespace

std::size_t carried_out(const Plan& plan) {
    const auto& entries = plan.entries();
    return static_cast<std::size_t>(std::count_if(
        entries.begin(),
        entries.end(),
        [](const Entry& entry) { return entry.done && entry.step.action.verb != Verb::Wait; }
    ));
}

std::string report_json(const Run& run) {
    auto report = head(run);
    report["verdict"] = verdict_line(run.judge, carried_out(run.plan));
    report["findings"] = findings_json(run.judge);
    report["findings_in_all"] = run.judge.count();
    report["measures"] = measures_json(run.judge);
    report["expect"] = expect_json(run.scenario.expect);
    report["notes"] = run.notes;
    std::vector<Step> steps;
    for (const auto& entry : run.plan.entries()) steps.push_back(entry.step);
    report["schedule"] = to_toml(steps);
    report["faults"] = faults_json(run);
    report["series"] = series_json(run.history);
    return dump(report, 1) + "\n";
}

std::string verdict_json(const Run& run) {
    auto line = head(run);
    line["event"] = "verdict";
    line["verdict"] = verdict_line(run.judge, carried_out(run.plan));
    line["findings"] = findings_json(run.judge);
    line["measures"] = measures_json(run.judge);
    line["notes"] = run.notes;
    return dump(line, -1);
}

}  // namespace starling::scenario
