#include "peer/scenario/command.hpp"

#include <charconv>
#include <fmt/format.h>
#include <optional>
#include <string>
#include <utility>

#include "base/printable.hpp"
#include "peer/scenario/words.hpp"

namespace starling::scenario {
namespace {

/// An action that cannot be done is told soon. A process that was killed may need a moment to be gone.
constexpr Duration kActionDeadline = std::chrono::seconds(5);
constexpr std::string_view kBlanks = " \t\r";

Fault wrong(std::string message) {
    return fail(FaultCode::Usage, std::move(message));
}

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// Splits the last word from a text.
std::pair<std::string_view, std::string_view> last_word(std::string_view text) {
    const auto blank = text.find_last_of(kBlanks);
    if (blank == std::string_view::npos) return {{}, text};
    return {trimmed(text.substr(0, blank)), text.substr(blank + 1)};
}

Result<Claim> parse_claim(std::string_view text) {
    using Kind = Claim::Kind;
    static constexpr std::pair<std::string_view, Kind> kNames[] = {
        {"whole_within", Kind::WholeWithin},
        {"no_exchange_for", Kind::NoExchangeFor},
        {"training_gap", Kind::TrainingGap},
        {"false_failures", Kind::FalseFailures},
        {"spread", Kind::Spread},
        {"members", Kind::Members}};
    const auto [name, value] = last_word(text);
    for (const auto& [known, kind] : kNames) {
        if (name != known) continue;
        Claim claim{kind, 0};
        const bool time =
            kind == Kind::WholeWithin || kind == Kind::NoExchangeFor || kind == Kind::TrainingGap;
        if (time) {
            const auto duration = parse_duration(value);
            if (!duration) return duration.error();
            claim.most = to_seconds(*duration);
            return claim;
        }
        const auto* const end = value.data() + value.size();
        const auto [stopped, error] = std::from_chars(value.data(), end, claim.most);
        if (error == std::errc() && stopped == end && claim.most >= 0) return claim;
        return wrong("'" + excerpt(value) + "' is no number");
    }
    return wrong(
        "'expect' wants one of whole_within, no_exchange_for, training_gap, false_failures, spread "
        "and "
        "members, and a value: expect spread 0.1"
    );
}

/// Takes a deadline from the end of a condition: `whole 20s`.
std::optional<Duration> take_deadline(std::string_view& line) {
    const auto [rest, last] = last_word(line);
    const auto deadline = parse_duration(last);
    // The value of `step > 20` has no unit, so it is no duration.
    if (!deadline || rest.empty()) return {};
    line = rest;
    return *deadline;
}

Result<Command> parse_step(std::string_view line, Mode mode) {
    Command command;
    command.kind = Command::Kind::Step;
    auto& step = command.step;
    if (line.starts_with("wait ")) {
        if (const auto deadline = take_deadline(line)) step.deadline = *deadline;
    } else if (const auto at = line.rfind(" for "); at != std::string_view::npos) {
        const auto lasts = parse_duration(trimmed(line.substr(at + 5)));
        if (!lasts) return lasts.error();
        step.lasts = *lasts;
        line = trimmed(line.substr(0, at));
    }
    auto action = parse_action(line);
    if (!action) return action.error();
    step.action = *std::move(action);
    const auto verb = step.action.verb;
    step.name = to_string(verb);
    step.when.kind = When::Kind::After;
    if (!can(mode, verb)) return wrong(cannot(mode, verb));
    if (step.lasts && !can_be_undone(verb)) {
        return wrong(fmt::format("'{}' cannot be undone, so it has no 'for'", to_string(verb)));
    }
    if (!step.lasts) step.lasts = usual_length(verb);
    if (verb != Verb::Wait) step.deadline = kActionDeadline;
    return command;
}

}  // namespace

Result<Command> parse_command(std::string_view line, Mode mode) {
    if (line.size() > kCommandMax) {
        return wrong(fmt::format("a line has at most {} bytes", kCommandMax));
    }
    line = trimmed(line);
    Command command;
    if (line == "status") return command;
    if (line == "end") {
        command.kind = Command::Kind::End;
        return command;
    }
    constexpr std::string_view kExpect = "expect";
    const auto word = line.substr(0, line.find_first_of(kBlanks));
    if (word != kExpect) return parse_step(line, mode);
    auto claim = parse_claim(trimmed(line.substr(kExpect.size())));
    if (!claim) return claim.error();
    command.kind = Command::Kind::Expect;
    command.claim = *claim;
    return command;
}

}  // namespace starling::scenario
