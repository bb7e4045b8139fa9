#include "peer/scenario/schedule.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "base/json_text.hpp"

namespace starling::scenario {
namespace {

constexpr std::uint64_t kStepPurpose = 0x73746570;
constexpr std::uint64_t kRatePurpose = 0x72617465;

Fault nobody(const Step& step) {
    return fail(
        FaultCode::Usage,
        fmt::format(
            "line {}: '{}' hits nobody: by then no peer is left for it",
            step.place.line,
            to_string(step.action)
        )
    );
}

std::vector<std::size_t> draw(std::vector<std::size_t> from, std::size_t count, Rng& rng) {
    rng.shuffle(std::span(from));
    from.resize(std::min(count, from.size()));
    return from;
}

/// A text as TOML writes it; JSON escapes the same way.
std::string toml_text(const std::string& text) {
    return json_text(nlohmann::json(text));
}

}  // namespace

Resolver::Resolver(const Scenario& scenario)
    : scenario_(scenario),
      status_(scenario.peers, Status::Up),
      rng_(Rng(scenario.seed).fork(kStepPurpose)),
      next_new_(scenario.peers + 1) {
    status_.resize(scenario.peers + scenario.added(), Status::Absent);
}

/// Returns whom a verb can hit as things stand.
std::vector<std::size_t> Resolver::candidates(const Action& action) const {
    std::vector<std::size_t> found;
    const auto verb = action.verb;
    const bool down = verb == Verb::Restart || verb == Verb::Corrupt || goes_back(action);
    for (std::size_t i = 0; i < status_.size(); ++i) {
        const auto status = status_[i];
        const bool fits = down                   ? status == Status::Down
                          : verb == Verb::Resume ? status == Status::Stopped
                                                 : status == Status::Up;
        if (fits) found.push_back(i + 1);
    }
    return found;
}

Result<std::vector<std::size_t>> Resolver::choose(const Step& step, const Who& who) {
    using Kind = Who::Kind;
    auto able = candidates(step.action);
    std::vector<std::size_t> chosen;
    switch (who.kind) {
        case Kind::Nobody:
            return chosen;
        case Kind::Founder:
            chosen = {1};
            break;
        case Kind::Peers:
            chosen = who.peers;
            break;
        case Kind::Random:
            chosen = draw(able, who.count, rng_);
            break;
        case Kind::Half:
            chosen = draw(able, able.size() / 2, rng_);
            break;
        case Kind::Minority:
            chosen = draw(able, able.empty() ? 0 : (able.size() - 1) / 2, rng_);
            break;
        case Kind::All:
            chosen = able;
            break;
        case Kind::Newest:
            if (!able.empty()) chosen = {able.back()};
            break;
        case Kind::Last:
            chosen = last_;
            break;
        case Kind::Side: {
            const auto sides = sides_.find(who.name);
            if (sides == sides_.end()) break;
            const auto& [one, two] = sides->second;
            chosen = who.count == 1 ? one.peers : two.peers;
            break;
        }
    }
    if (chosen.empty()) return nobody(step);
    return chosen;
}

Result<void> Resolver::resolve(Step& step) {
    auto& action = step.action;
    if (action.verb == Verb::Add && next_new_ - 1 + action.count > status_.size()) {
        return fail(
            FaultCode::Usage,
            fmt::format("only {} peers can be added", status_.size() + 1 - next_new_)
        );
    }
    if (action.who.kind != Who::Kind::Nobody) {
        auto chosen = choose(step, action.who);
        if (!chosen) return chosen.error();
        action.who = these(*std::move(chosen));
    }
    if (action.other.kind != Who::Kind::Nobody) {
        auto chosen = choose(step, action.other);
        if (!chosen) return chosen.error();
        action.other = these(*std::move(chosen));
    }
    if (auto ok = resolve_sides(step); !ok) return ok;
    if (goes_back(action)) {
        for (const auto peer : action.who.peers) {
            if (peer > status_.size() || status_[peer - 1] == Status::Down) continue;
            return fail(
                FaultCode::Usage,
                fmt::format(
                    "line {}, column {}: no clock goes back while its peer runs, and peer {} runs "
                    "by then; kill it "
                    "before, and restart it after",
                    step.place.line,
                    step.place.column,
                    peer
                )
            );
        }
    }
    apply(step);
    return {};
}

/// Who is not on the first side of a cut is on the second one, if the step does not say who is.
Result<void> Resolver::resolve_sides(Step& step) {
    auto& action = step.action;
    if (!has_sides(action.verb)) return {};
    if (action.other.kind == Who::Kind::Nobody && action.verb != Verb::Isolate) {
        std::vector<std::size_t> rest;
        for (std::size_t i = 0; i < status_.size(); ++i) {
            const auto& side = action.who.peers;
            const bool in = std::find(side.begin(), side.end(), i + 1) != side.end();
            if (!in && status_[i] != Status::Absent) rest.push_back(i + 1);
        }
        if (rest.empty()) return nobody(step);
        action.other = these(std::move(rest));
    }
    sides_[step.name] = {action.who, action.other};
    return {};
}

/// Notes what the step does to its peers for good.
void Resolver::apply(const Step& step) {
    const auto& action = step.action;
    const auto set = [&](Status status) {
        for (const auto peer : action.who.peers) status_[peer - 1] = status;
    };
    if (action.verb != Verb::Wait) last_ = action.who.peers;
    switch (action.verb) {
        case Verb::Kill:
        case Verb::Term:
        case Verb::PowerOff:
        case Verb::SeedsGone:
            if (!step.lasts) set(Status::Down);
            break;
        case Verb::Restart:
        case Verb::Resume:
            set(Status::Up);
            break;
        case Verb::Pause:
            if (!step.lasts) set(Status::Stopped);
            break;
        case Verb::Add:
            last_.clear();
            for (std::size_t i = 0; i < action.count; ++i) {
                status_[next_new_ - 1] = Status::Up;
                last_.push_back(next_new_++);
            }
            break;
        default:
            break;
    }
}

/// Draws times and victims. A rate has a generator of its own, so a change of the steps does not change
/// it.
std::vector<Step> Resolver::expand(const Repeat& repeat, std::size_t index) const {
    auto rng = Rng(scenario_.seed).fork(kRatePurpose + index);
    const auto able = candidates(repeat.action);
    std::vector<Step> steps;
    Duration at{};
    while (!able.empty() && steps.size() < kStepsMax) {
        const auto gap = from_seconds(rng.exponential(to_seconds(repeat.every)));
        at += std::chrono::milliseconds(gap / std::chrono::milliseconds(1));
        if (at >= repeat.until) break;
        Step step;
        step.action = repeat.action;
        if (repeat.action.who.kind == Who::Kind::Random) {
            step.action.who = these(draw(able, repeat.action.who.count, rng));
        }
        step.name = to_string(step.action.verb);
        step.when.kind = When::Kind::At;
        step.when.time = at;
        step.lasts = repeat.lasts;
        step.optional = true;
        step.place = repeat.place;
        steps.push_back(std::move(step));
    }
    return steps;
}

void Resolver::observe(const View& view) {
    for (std::size_t i = 0; i < std::min(view.peers.size(), status_.size()); ++i) {
        const auto& peer = view.peers[i];
        if (!peer.started) continue;
        const bool up = peer.running && !peer.leaving && !peer.ended;
        status_[i] = up ? (peer.paused ? Status::Stopped : Status::Up) : Status::Down;
    }
}

Result<std::vector<Step>> expand(const Scenario& scenario) {
    Resolver resolver(scenario);
    std::vector<Step> steps;
    for (auto step : scenario.steps) {
        if (auto ok = resolver.resolve(step); !ok) return ok.error();
        steps.push_back(std::move(step));
    }
    std::size_t index = 0;
    for (const auto& repeat : scenario.repeats) {
        auto more = resolver.expand(repeat, index++);
        std::move(more.begin(), more.end(), std::back_inserter(steps));
    }
    return steps;
}

std::string to_toml(const std::vector<Step>& steps) {
    std::string out;
    for (const auto& step : steps) {
        out += fmt::format(
            "[[step]]\nname = {}\nwhen = {}\ndo = {}\n",
            toml_text(step.name),
            toml_text(to_string(step.when)),
            toml_text(to_string(step.action))
        );
        if (step.lasts) out += fmt::format("for = {}\n", toml_text(to_text(*step.lasts)));
        if (step.deadline != kDeadline) {
            out += fmt::format("deadline = {}\n", toml_text(to_text(step.deadline)));
        }
        if (step.optional) out += "optional = true\n";
        out += "\n";
    }
    return out;
}

}  // namespace starling::scenario
