#include "peer/scenario/words.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <string>
#include <utility>

#include "base/printable.hpp"

namespace starling::scenario {
namespace {

using Words = std::vector<std::string_view>;

constexpr std::size_t kWordsMax = 64;
constexpr double kSecondsMax = 30.0 * 24 * 3600;
constexpr Duration kClockMax = std::chrono::hours(24);

Fault wrong(std::string message) {
    return fail(FaultCode::Usage, std::move(message));
}

/// Shows a text of the file.
std::string in_marks(std::string_view text) {
    return "'" + excerpt(text) + "'";
}

Words split(std::string_view text) {
    Words words;
    while (words.size() < kWordsMax) {
        const auto begin = text.find_first_not_of(" \t");
        if (begin == std::string_view::npos) break;
        text.remove_prefix(begin);
        const auto end = std::min(text.find_first_of(" \t"), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

std::string join(const Words& words) {
    return fmt::format("{}", fmt::join(words, " "));
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return {};
    return value;
}

/// Splits `12.5ms` into a number and a unit.
std::optional<std::pair<double, std::string_view>> quantity(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || !std::isfinite(value) || value < 0) return {};
    return std::pair(value, text.substr(static_cast<std::size_t>(end - text.data())));
}

Result<std::size_t> parse_count(std::string_view text) {
    const auto count = whole_number(text);
    if (!count || *count == 0 || *count > kPeersMax) {
        return wrong(fmt::format("{} is no number from 1 to {}", in_marks(text), kPeersMax));
    }
    return static_cast<std::size_t>(*count);
}

Result<Who> parse_peers(std::string_view text) {
    std::vector<std::size_t> peers;
    while (peers.size() <= kPeersMax) {
        const auto comma = text.find(',');
        auto peer = parse_count(text.substr(0, comma));
        if (!peer) return peer.error();
        if (std::find(peers.begin(), peers.end(), *peer) == peers.end()) peers.push_back(*peer);
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    return these(std::move(peers));
}

/// Reads a side of a cut, such as `cut.1`.
std::optional<Who> parse_side(std::string_view word) {
    const auto dot = word.rfind('.');
    if (dot == std::string_view::npos || dot == 0) return {};
    const auto side = whole_number(word.substr(dot + 1));
    if (!side || *side < 1 || *side > 2) return {};
    Who who;
    who.kind = Who::Kind::Side;
    who.count = static_cast<std::size_t>(*side);
    who.name = std::string(word.substr(0, dot));
    return who;
}

Result<Who> parse_who(const Words& words) {
    using Kind = Who::Kind;
    static constexpr std::pair<std::string_view, Kind> kNames[] = {
        {"founder", Kind::Founder},
        {"half", Kind::Half},
        {"minority", Kind::Minority},
        {"all", Kind::All},
        {"newest", Kind::Newest},
        {"last", Kind::Last},
        {"random", Kind::Random}};
    if (words.empty())
        return wrong("it does not say whom; write for instance 'random' or 'peer 3'");
    if (words[0] == "peer" && words.size() == 2) return parse_peers(words[1]);
    Who who;
    if (words[0] == "random" && words.size() == 2) {
        auto count = parse_count(words[1]);
        if (!count) return count.error();
        who.kind = Kind::Random;
        who.count = *count;
        return who;
    }
    if (words.size() == 1) {
        for (const auto& [name, kind] : kNames) {
            if (words[0] != name) continue;
            who.kind = kind;
            return who;
        }
        if (auto side = parse_side(words[0])) return *std::move(side);
    }
    return wrong(
        in_marks(join(words)) +
        " names nobody; use founder, peer N, random, random N, half, minority, all, newest, last, "
        "or a side of a cut such as cut.1"
    );
}

/// Reads `A` or `A MARK B`.
Result<void> parse_sides(const Words& words, std::string_view mark, Action& action) {
    const auto middle = std::find(words.begin(), words.end(), mark);
    auto who = parse_who(Words(words.begin(), middle));
    if (!who) return who.error();
    action.who = *std::move(who);
    if (middle == words.end()) return {};
    auto other = parse_who(Words(middle + 1, words.end()));
    if (!other) return other.error();
    action.other = *std::move(other);
    return {};
}

/// Reads whom, and then bytes.
Result<void> parse_memory(Words words, Action& action) {
    constexpr double kLeast = 16.0 * 1024 * 1024;
    auto bytes = parse_bytes(words.empty() ? std::string_view() : words.back());
    if (!bytes || *bytes < kLeast) {
        return wrong("'memory' wants whom and how much, at least 16MiB: memory random 200MiB");
    }
    action.value = *bytes;
    words.pop_back();
    auto who = parse_who(words);
    if (!who) return who.error();
    action.who = *std::move(who);
    return {};
}

/// Reads whom, and then a value.
Result<void> parse_who_and_value(Words words, Action& action) {
    if (action.verb == Verb::Memory) return parse_memory(std::move(words), action);
    const bool slow = action.verb == Verb::Slow;
    const auto none = std::pair(-1.0, std::string_view());
    const auto [value, unit] = words.empty() ? none : quantity(words.back()).value_or(none);
    const double least = slow ? 2 : 16;
    const double most = slow ? 20 : 65'536;
    const bool right = unit == (slow ? "x" : "") && value >= least && value <= most;
    if (!right) {
        return wrong(
            slow ? "'slow' wants whom and how much, from 2x to 20x: slow random 4x"
                 : "'fd-limit' wants whom and how many, from 16 to 65536: fd-limit random 40"
        );
    }
    action.value = slow ? value : std::floor(value);
    words.pop_back();
    auto who = parse_who(words);
    if (!who) return who.error();
    action.who = *std::move(who);
    return {};
}

/// Reads whom, and how far its clock goes on or back.
Result<void> parse_clock(Words words, Action& action) {
    const auto text = words.empty() ? std::string_view() : words.back();
    const bool back = text.starts_with('-');
    const auto offset = back || text.starts_with('+') ? parse_duration(text.substr(1)) : wrong("");
    if (!offset || *offset == Duration::zero() || *offset > kClockMax) {
        return wrong("'clock' wants whom and how far, at most 24h on or back: clock random +1h");
    }
    action.time = back ? -*offset : *offset;
    words.pop_back();
    auto who = parse_who(words);
    if (!who) return who.error();
    action.who = *std::move(who);
    return {};
}

/// Reads whom, and what it lies about.
Result<void> parse_liar(Words words, Action& action) {
    const auto lie = words.empty() ? std::nullopt : parse_lie(words.back());
    if (!lie) {
        return wrong(
            "'liar' wants whom and what about: frames, members, records or parameters: liar random "
            "frames"
        );
    }
    action.lie = *lie;
    words.pop_back();
    auto who = parse_who(words);
    if (!who) return who.error();
    action.who = *std::move(who);
    return {};
}

Result<void> parse_add(const Words& words, Action& action) {
    if (words.empty()) return wrong("'add' wants how many: add 1, or add 2 by peer 3");
    auto count = parse_count(words[0]);
    if (!count) return count.error();
    action.count = *count;
    if (words.size() == 1) {
        action.who.kind = Who::Kind::Random;
        return {};
    }
    if (words[1] != "by") return wrong("after 'add N' comes 'by' and a peer: add 2 by peer 3");
    auto who = parse_who(Words(words.begin() + 2, words.end()));
    if (!who) return who.error();
    action.who = *std::move(who);
    return {};
}

/// Reads the number of a verb that changes links, and whose they are: `20% on peer 3 > peer 4`.
Result<void> parse_link(const Words& words, Action& action) {
    const std::string verb(to_string(action.verb));
    if (words.size() == 1 || (words.size() > 2 && words[1] == "on")) {
        if (words.size() > 2) {
            auto sides = parse_sides(Words(words.begin() + 2, words.end()), ">", action);
            if (!sides) return sides;
        }
        const bool one_way = action.other.kind != Who::Kind::Nobody;
        if (one_way && action.verb == Verb::Rate) {
            return wrong("'rate' is of all that a peer sends and gets: rate 1Mbit on peer 3");
        }
    } else {
        return wrong("'" + verb + "' wants a value, and may say whose links: on peer 3");
    }
    const auto take = [&](auto value, auto& into) -> Result<void> {
        if (!value) return value.error();
        into = *value;
        return {};
    };
    switch (action.verb) {
        case Verb::Delay:
        case Verb::Jitter:
            return take(parse_duration(words[0]), action.time);
        case Verb::Rate:
            return take(parse_rate(words[0]), action.value);
        case Verb::Mtu: {
            const auto bytes = whole_number(words[0]);
            if (!bytes || *bytes < 576 || *bytes > 65'535) {
                return wrong("'mtu' wants bytes from 576 to 65535");
            }
            action.value = static_cast<double>(*bytes);
            return {};
        }
        default:
            return take(parse_share(words[0]), action.value);
    }
}

Result<void> parse_rest(const Words& words, Action& action) {
    if (sets_links(action.verb)) return parse_link(words, action);
    switch (action.verb) {
        case Verb::Add:
            return parse_add(words, action);
        case Verb::Slow:
        case Verb::FdLimit:
        case Verb::Memory:
            return parse_who_and_value(words, action);
        case Verb::Clock:
            return parse_clock(words, action);
        case Verb::Liar:
            return parse_liar(words, action);
        case Verb::SeedsGone:
            if (!words.empty()) return wrong("'seeds-gone' is about the founder and takes no more");
            action.who.kind = Who::Kind::Founder;
            return {};
        case Verb::Bridge:
        case Verb::MajoritiesRing:
            if (words.empty()) action.who.kind = Who::Kind::All;
            return words.empty() ? Result<void>() : parse_sides(words, {}, action);
        case Verb::Cut:
            return parse_sides(words, "|", action);
        case Verb::OneWay:
            return parse_sides(words, ">", action);
        case Verb::Heal:
            if (!words.empty()) return wrong("'heal' ends all cuts and takes nothing more");
            return {};
        case Verb::Wait: {
            auto terms = parse_terms(join(words));
            if (!terms) return terms.error();
            action.terms = *std::move(terms);
            return {};
        }
        default:
            return parse_sides(words, {}, action);
    }
}

Result<Term> parse_term(const Words& words) {
    using Kind = Term::Kind;
    Term term;
    if (words == Words{"all", "train"}) return term;
    if (words == Words{"whole"}) {
        term.kind = Kind::Whole;
        return term;
    }
    if (words.size() == 2 && words[0] == "after") {
        term.kind = Kind::After;
        term.name = std::string(words[1]);
        return term;
    }
    if (words.size() == 4 && words[0] == "peer" && words[2] == "says") {
        auto peer = parse_count(words[1]);
        if (!peer) return peer.error();
        term.kind = Kind::Says;
        term.peer = *peer;
        term.name = std::string(words[3]);
        return term;
    }
    static constexpr std::pair<std::string_view, std::pair<std::string_view, Kind>> kValues[] = {
        {"spread", {"<", Kind::SpreadBelow}},
        {"accuracy", {">", Kind::AccuracyAbove}},
        {"step", {">", Kind::StepAbove}}};
    for (const auto& [name, rest] : kValues) {
        if (words.size() != 3 || words[0] != name || words[1] != rest.first) continue;
        const auto value = quantity(words[2]);
        if (!value || !value->second.empty()) return wrong(in_marks(words[2]) + " is no number");
        term.kind = rest.second;
        term.value = value->first;
        return term;
    }
    return wrong(
        in_marks(join(words)) +
        " is no condition; use 'all train', 'whole', 'spread < X', 'accuracy > X', 'step > N', "
        "'after NAME' or 'peer N says EVENT', joined by 'and'"
    );
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
    static constexpr std::pair<std::string_view, double> kUnits[] = {
        {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3600}};
    if (const auto q = quantity(text)) {
        for (const auto& [unit, seconds] : kUnits) {
            // Rounded, because 0.3 s times 1e9 is a little less than a whole number.
            const double all = q->first * seconds;
            if (q->second == unit && all <= kSecondsMax) {
                return std::chrono::microseconds(std::llround(all * 1e6));
            }
        }
    }
    return wrong(in_marks(text) + " is no duration such as 500ms, 60s, 10m or 2h");
}

Result<double> parse_share(std::string_view text) {
    if (const auto q = quantity(text)) {
        if (q->second == "%" && q->first <= 100) return q->first / 100;
        if (q->second.empty() && q->first <= 1) return q->first;
    }
    return wrong(in_marks(text) + " is no share such as 20% or 0.2");
}

Result<double> parse_rate(std::string_view text) {
    if (const auto q = quantity(text); q && q->first > 0 && q->first < 1e9) {
        if (q->second == "kbit") return q->first * 125;
        if (q->second == "Mbit") return q->first * 125e3;
        if (q->second == "Gbit") return q->first * 125e6;
    }
    return wrong(in_marks(text) + " is no rate such as 100Mbit or 1Gbit");
}

Result<std::vector<std::size_t>> parse_named_peers(std::string_view text) {
    auto who = parse_who(split(text));
    if (who && who->kind == Who::Kind::Founder) return std::vector<std::size_t>{1};
    if (who && who->kind == Who::Kind::Peers) return who->peers;
    return wrong(in_marks(text) + " names no peers; use founder, peer 3 or peer 2,5");
}

Result<double> parse_bytes(std::string_view text) {
    if (const auto q = quantity(text); q && q->first > 0 && q->first < 1e15) {
        if (q->second.empty()) return q->first;
        if (q->second == "KiB") return q->first * 1024.0;
        if (q->second == "MiB") return q->first * 1024.0 * 1024.0;
        if (q->second == "GiB") return q->first * 1024.0 * 1024.0 * 1024.0;
    }
    return wrong(in_marks(text) + " are no bytes such as 32MiB or 64KiB");
}

Result<Action> parse_action(std::string_view text) {
    const auto words = split(text);
    if (words.empty()) return wrong("an action is empty; write for instance 'kill random'");
    const auto verb = parse_verb(words[0]);
    if (!verb) {
        std::string all;
        for (std::size_t i = 0; i < kVerbs; ++i) {
            all += (all.empty() ? "" : ", ") + std::string(to_string(static_cast<Verb>(i)));
        }
        return wrong("there is no verb " + in_marks(words[0]) + "; use " + all);
    }
    Action action;
    action.verb = *verb;
    auto rest = parse_rest(Words(words.begin() + 1, words.end()), action);
    if (!rest) return rest.error();
    return action;
}

Result<std::vector<Term>> parse_terms(std::string_view text) {
    std::vector<Term> terms;
    Words part;
    auto words = split(text);
    words.emplace_back("and");  // closes the last part
    for (const auto word : words) {
        if (word != "and") {
            part.push_back(word);
            continue;
        }
        auto term = parse_term(part);
        if (!term) return term.error();
        terms.push_back(*std::move(term));
        part.clear();
    }
    return terms;
}

Result<When> parse_when(std::string_view text) {
    When when;
    const bool relative = text.starts_with('+');
    const auto rest = relative ? text.substr(1) : text;
    if (relative || (!text.empty() && text[0] >= '0' && text[0] <= '9')) {
        auto time = parse_duration(rest);
        if (!time) return time.error();
        when.kind = relative ? When::Kind::After : When::Kind::At;
        when.time = *time;
        return when;
    }
    auto terms = parse_terms(text);
    if (!terms) return terms.error();
    when.terms = *std::move(terms);
    return when;
}

}  // namespace starling::scenario
