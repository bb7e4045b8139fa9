#include "peer/scenario/schedule.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "base/rng.hpp"

namespace starling::scenario {
namespace {

constexpr std::uint64_t kStepPurpose = 0x73746570;
constexpr std::uint64_t kRatePurpose = 0x72617465;

enum class Status : std::uint8_t { Absent, Up, Down, Stopped };

class Expansion {
public:
    explicit Expansion(const Scenario& scenario)
        : scenario_(scenario),
          status_(scenario.peers, Status::Up),
          rng_(Rng(scenario.seed).fork(kStepPurpose)) {
        status_.resize(scenario.peers + scenario.added(), Status::Absent);
    }

    Result<std::vector<Step>> run();

private:
    Result<void> resolve(Step& step);
    Result<std::vector<std::size_t>> choose(const Step& step, const Who& who, Verb verb);
    [[nodiscard]] std::vector<std::size_t> candidates(Verb verb) const;
    std::vector<std::size_t> draw(std::vector<std::size_t> from, std::size_t count, Rng& rng) const;
    void apply(const Step& step);
    void expand_rate(const Repeat& repeat, std::size_t index);
    [[nodiscard]] static Fault nobody(const Step& step);

    const Scenario& scenario_;
    std::vector<Status> status_;
    Rng rng_;
    std::size_t next_new_ = 0;
    std::vector<std::size_t> last_;
    std::map<std::string, std::pair<Who, Who>> sides_;
    std::vector<Step> steps_;
};

Result<std::vector<Step>> Expansion::run() {
    next_new_ = scenario_.peers + 1;
    for (auto step : scenario_.steps) {
        if (auto ok = resolve(step); !ok) return ok.error();
        apply(step);
        steps_.push_back(std::move(step));
    }
    std::size_t index = 0;
    for (const auto& repeat : scenario_.repeats) expand_rate(repeat, index++);
    return std::move(steps_);
}

Fault Expansion::nobody(const Step& step) {
    return fail(
        FaultCode::Usage,
        fmt::format(
            "line {}: '{}' hits nobody: by then no peer is left for it",
            step.place.line,
            to_string(step.action)
        )
    );
}

/// Returns whom a verb can hit as things stand.
std::vector<std::size_t> Expansion::candidates(Verb verb) const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < status_.size(); ++i) {
        const auto status = status_[i];
        const bool fits = verb == Verb::Restart  ? status == Status::Down
                          : verb == Verb::Resume ? status == Status::Stopped
                                                 : status == Status::Up;
        if (fits) found.push_back(i + 1);
    }
    return found;
}

std::vector<std::size_t> Expansion::draw(std::vector<std::size_t> from, std::size_t count, Rng& rng)
    const {
    rng.shuffle(std::span(from));
    from.resize(std::min(count, from.size()));
    return from;
}

Result<std::vector<std::size_t>> Expansion::choose(const Step& step, const Who& who, Verb verb) {
    using Kind = Who::Kind;
    auto able = candidates(verb);
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
            const auto& [one, two] = sides_.at(who.name);
            chosen = who.count == 1 ? one.peers : two.peers;
            break;
        }
    }
    if (chosen.empty()) return nobody(step);
    return chosen;
}

Result<void> Expansion::resolve(Step& step) {
    auto& action = step.action;
    if (action.who.kind != Who::Kind::Nobody) {
        auto chosen = choose(step, action.who, action.verb);
        if (!chosen) return chosen.error();
        action.who = these(*std::move(chosen));
    }
    if (action.other.kind != Who::Kind::Nobody) {
        auto chosen = choose(step, action.other, action.verb);
        if (!chosen) return chosen.error();
        action.other = these(*std::move(chosen));
    }
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
void Expansion::apply(const Step& step) {
    const auto& action = step.action;
    const auto set = [&](Status status) {
        for (const auto peer : action.who.peers) status_[peer - 1] = status;
    };
    last_ = action.who.peers;
    switch (action.verb) {
        case Verb::Kill:
        case Verb::Term:
        case Verb::PowerOff:
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

/// Draws times and victims of a rate. It has a generator of its own, so a change of the steps does
/// not change it.
void Expansion::expand_rate(const Repeat& repeat, std::size_t index) {
    auto rng = Rng(scenario_.seed).fork(kRatePurpose + index);
    const auto able = candidates(repeat.action.verb);
    if (able.empty()) return;
    Duration at{};
    while (steps_.size() < 20'000) {
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
        steps_.push_back(std::move(step));
    }
}

/// A text as TOML writes it; JSON escapes the same way.
std::string toml_text(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<std::vector<Step>> expand(const Scenario& scenario) {
    return Expansion(scenario).run();
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
