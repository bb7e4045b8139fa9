#include "peer/scenario/scenario.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <utility>

#include "base/check.hpp"

namespace starling::scenario {
namespace {

struct VerbRow {
    std::string_view word;
    bool loopback;
    bool spaces;
    bool simulate;
};

/// In the order of Verb. The columns are those of the table in docs/SCENARIOS.md.
constexpr std::array<VerbRow, kVerbs> kRows = {{
    {"kill", true, true, true},
    {"term", true, true, true},
    {"power-off", false, true, true},
    {"restart", true, true, true},
    {"add", true, true, true},
    {"pause", true, true, true},
    {"resume", true, true, true},
    {"slow", true, true, true},
    {"cut", false, true, true},
    {"isolate", false, true, true},
    {"one-way", false, true, true},
    {"bridge", false, true, true},
    {"majorities-ring", false, true, true},
    {"heal", false, true, true},
    {"loss", false, true, true},
    {"delay", false, true, true},
    {"jitter", false, true, true},
    {"duplicate", false, true, true},
    {"reorder", false, true, false},
    {"rate", false, true, true},
    {"mtu", false, true, true},
    {"block-udp", false, true, true},
    {"block-tcp", false, true, false},
    {"reset", false, true, true},
    {"half-open", false, true, true},
    {"seeds-gone", true, true, true},
    {"address-change", true, true, true},
    {"disk-full", false, true, true},
    {"disk-read-only", false, true, true},
    {"fd-limit", true, true, false},
    {"memory", true, true, false},
    {"corrupt", true, true, true},
    {"clock", false, false, true},
    {"liar", false, false, true},
    {"wait", true, true, true},
}};

constexpr std::array<std::string_view, kLies> kLieNames = {
    "frames", "members", "records", "parameters"};

constexpr double kMiB = 1024.0 * 1024.0;

std::string numbers(const std::vector<std::size_t>& peers) {
    return fmt::format("{}", fmt::join(peers, ","));
}

std::string share_text(double share) {
    return fmt::format("{}%", share * 100.0);
}

/// Returns what a verb that sets links gives them.
std::string link_value(const Action& action) {
    switch (action.verb) {
        case Verb::Delay:
        case Verb::Jitter:
            return to_text(action.time);
        case Verb::Rate:
            return fmt::format("{}kbit", action.value / 125.0);
        case Verb::Mtu:
            return fmt::format("{}", action.value);
        default:
            return share_text(action.value);
    }
}

}  // namespace

std::string_view to_string(Mode mode) {
    static constexpr std::string_view kNames[] = {
        "starling swarm on loopback", "starling swarm", "starling simulate"};
    return kNames[static_cast<std::size_t>(mode)];
}

std::string_view to_string(Lie lie) {
    return kLieNames.at(static_cast<std::size_t>(lie));
}

std::optional<Lie> parse_lie(std::string_view word) {
    const auto found = std::find(kLieNames.begin(), kLieNames.end(), word);
    if (found == kLieNames.end()) return {};
    return static_cast<Lie>(found - kLieNames.begin());
}

std::string_view to_string(Verb verb) {
    return kRows.at(static_cast<std::size_t>(verb)).word;
}

std::optional<Verb> parse_verb(std::string_view word) {
    for (std::size_t i = 0; i < kRows.size(); ++i) {
        if (kRows.at(i).word == word) return static_cast<Verb>(i);
    }
    return {};
}

bool can(Mode mode, Verb verb) {
    const auto& row = kRows.at(static_cast<std::size_t>(verb));
    switch (mode) {
        case Mode::Loopback:
            return row.loopback;
        case Mode::Spaces:
            return row.spaces;
        case Mode::Simulate:
            return row.simulate;
    }
    STARLING_UNREACHABLE("all modes are above");
}

std::string_view why_not(Mode mode, Verb verb) {
    if (mode == Mode::Simulate) {
        switch (verb) {
            case Verb::Reorder:
                return "its datagrams overtake each other wherever there is jitter";
            case Verb::BlockTcp:
                return "it has no packets of streams that could be stopped; half-open holds up "
                       "those that are open";
            case Verb::FdLimit:
                return "virtual peers have no descriptors";
            case Verb::Memory:
                return "virtual peers have no memory of their own";
            default:
                return {};
        }
    }
    if (verb == Verb::Clock) return "a kernel lets nobody move the clock of a process that runs";
    if (verb == Verb::Liar) return "this program has no peer that lies";
    return {};
}

std::string cannot(Mode mode, Verb verb) {
    STARLING_CHECK(!can(mode, verb));
    const auto why = why_not(mode, verb);
    return fmt::format(
        "{} cannot do '{}'{}{}; it can do {}",
        to_string(mode),
        to_string(verb),
        why.empty() ? "" : ": ",
        why,
        verbs_of(mode)
    );
}

bool can_be_undone(Verb verb) {
    switch (verb) {
        case Verb::Term:
        case Verb::Restart:
        case Verb::Add:
        case Verb::Resume:
        case Verb::Heal:
        case Verb::Corrupt:
        case Verb::Reset:
        case Verb::AddressChange:
        case Verb::Clock:
        case Verb::Wait:
            return false;
        default:
            return true;
    }
}

std::optional<Duration> usual_length(Verb verb) {
    // By then TCP has given up what nobody acknowledges, on either side.
    if (verb == Verb::HalfOpen) return std::chrono::seconds(12);
    return {};
}

bool ends_peer(Verb verb) {
    return verb == Verb::Kill || verb == Verb::PowerOff || verb == Verb::SeedsGone;
}

bool needs_disk_of_its_own(Verb verb) {
    return verb == Verb::DiskFull || verb == Verb::DiskReadOnly;
}

bool has_sides(Verb verb) {
    return verb == Verb::Cut || verb == Verb::Isolate || verb == Verb::OneWay;
}

bool is_cut(Verb verb) {
    return has_sides(verb) || verb == Verb::Bridge || verb == Verb::MajoritiesRing ||
           verb == Verb::BlockUdp || verb == Verb::BlockTcp;
}

bool sets_links(Verb verb) {
    switch (verb) {
        case Verb::Loss:
        case Verb::Delay:
        case Verb::Jitter:
        case Verb::Duplicate:
        case Verb::Reorder:
        case Verb::Rate:
        case Verb::Mtu:
            return true;
        default:
            return false;
    }
}

std::string verbs_of(Mode mode) {
    std::string list;
    for (std::size_t i = 0; i < kRows.size(); ++i) {
        if (!can(mode, static_cast<Verb>(i))) continue;
        list += (list.empty() ? "" : ", ") + std::string(kRows.at(i).word);
    }
    return list;
}

std::string to_string(const Who& who) {
    using Kind = Who::Kind;
    switch (who.kind) {
        case Kind::Nobody:
            return {};
        case Kind::Founder:
            return "founder";
        case Kind::Peers:
            return "peer " + numbers(who.peers);
        case Kind::Random:
            return who.count == 1 ? "random" : fmt::format("random {}", who.count);
        case Kind::Half:
            return "half";
        case Kind::Minority:
            return "minority";
        case Kind::All:
            return "all";
        case Kind::Newest:
            return "newest";
        case Kind::Last:
            return "last";
        case Kind::Side:
            return fmt::format("{}.{}", who.name, who.count);
    }
    STARLING_UNREACHABLE("all kinds are above");
}

Who these(std::vector<std::size_t> peers) {
    std::sort(peers.begin(), peers.end());
    Who who;
    who.kind = Who::Kind::Peers;
    who.count = peers.size();
    who.peers = std::move(peers);
    return who;
}

std::string to_string(const Term& term) {
    using Kind = Term::Kind;
    switch (term.kind) {
        case Kind::AllTrain:
            return "all train";
        case Kind::Whole:
            return "whole";
        case Kind::SpreadBelow:
            return fmt::format("spread < {}", term.value);
        case Kind::AccuracyAbove:
            return fmt::format("accuracy > {}", term.value);
        case Kind::StepAbove:
            return fmt::format("step > {}", term.value);
        case Kind::After:
            return "after " + term.name;
        case Kind::Says:
            return fmt::format("peer {} says {}", term.peer, term.name);
    }
    STARLING_UNREACHABLE("all kinds are above");
}

std::string to_string(const std::vector<Term>& terms) {
    std::string text;
    for (const auto& term : terms) text += (text.empty() ? "" : " and ") + to_string(term);
    return text;
}

std::string to_string(const When& when) {
    if (when.kind == When::Kind::At) return to_text(when.time);
    if (when.kind == When::Kind::After) return "+" + to_text(when.time);
    return to_string(when.terms);
}

std::string to_string(const Action& action) {
    const std::string verb(to_string(action.verb));
    const auto who = to_string(action.who);
    const auto other = to_string(action.other);
    switch (action.verb) {
        case Verb::Add:
            return fmt::format("{} {}", verb, action.count) + (who.empty() ? "" : " by " + who);
        case Verb::Slow:
            return fmt::format("{} {} {}x", verb, who, action.value);
        case Verb::FdLimit:
            return fmt::format("{} {} {}", verb, who, action.value);
        case Verb::Liar:
            return fmt::format("{} {} {}", verb, who, to_string(action.lie));
        case Verb::Clock: {
            const bool back = action.time < Duration::zero();
            return fmt::format(
                "{} {} {}{}",
                verb,
                who,
                back ? "-" : "+",
                to_text(back ? -action.time : action.time)
            );
        }
        case Verb::Cut:
            return fmt::format("{} {}", verb, who) + (other.empty() ? "" : " | " + other);
        case Verb::OneWay:
            return fmt::format("{} {}", verb, who) + (other.empty() ? "" : " > " + other);
        case Verb::Loss:
        case Verb::Duplicate:
        case Verb::Reorder:
        case Verb::Delay:
        case Verb::Jitter:
        case Verb::Rate:
        case Verb::Mtu:
            return fmt::format("{} {}", verb, link_value(action)) +
                   (who.empty() ? "" : " on " + who) + (other.empty() ? "" : " > " + other);
        case Verb::Memory:
            return fmt::format("{} {} {}MiB", verb, who, action.value / kMiB);
        case Verb::Heal:
            return verb;
        case Verb::Wait:
            return verb + " " + to_string(action.terms);
        case Verb::Kill:
        case Verb::Term:
        case Verb::PowerOff:
        case Verb::Restart:
        case Verb::Pause:
        case Verb::Resume:
        case Verb::Isolate:
        case Verb::BlockUdp:
        case Verb::BlockTcp:
        case Verb::Reset:
        case Verb::HalfOpen:
        case Verb::SeedsGone:
        case Verb::AddressChange:
        case Verb::DiskFull:
        case Verb::DiskReadOnly:
        case Verb::Corrupt:
        case Verb::Bridge:
        case Verb::MajoritiesRing:
            return fmt::format("{} {}", verb, who);
    }
    STARLING_UNREACHABLE("all kinds are above");
}

bool goes_back(const Action& action) {
    return action.verb == Verb::Clock && action.time < Duration::zero();
}

std::string Scenario::setting(std::string_view key) const {
    for (const auto& setting : train) {
        if (setting.key == key) return setting.value;
    }
    return {};
}

std::size_t Scenario::added() const {
    std::size_t count = spare;
    for (const auto& step : steps) count += step.action.verb == Verb::Add ? step.action.count : 0;
    return count;
}

std::string to_text(Duration duration) {
    using std::chrono::microseconds;
    const auto micros = std::chrono::duration_cast<microseconds>(duration).count();
    if (micros % 1'000 != 0) return fmt::format("{}us", micros);
    const auto millis = micros / 1'000;
    if (millis % 1'000 != 0) return fmt::format("{}ms", millis);
    return fmt::format("{}s", millis / 1'000);
}

}  // namespace starling::scenario
