#include "peer/scenario/parse.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>

#include "base/printable.hpp"
#include "peer/scenario/check.hpp"
#include "peer/scenario/table_reader.hpp"
#include "peer/scenario/words.hpp"

namespace starling::scenario {
namespace {

/// Reads the tables of one file.
class Parser : private TableReader {
public:
    Parser(std::string_view name, Mode mode) : TableReader(name), name_(name), mode_(mode) {
        out_.mode = mode == Mode::Simulate ? Mode::Simulate : Mode::Loopback;
    }

    Result<Scenario> read(const toml::table& root);

private:
    void read_swarm(const toml::table& table);
    void read_train(const toml::table& table);
    void read_links(const toml::table& table);
    void read_link_values(const toml::table& table, Links& links);
    void read_own_links(const toml::table& table);
    void read_step(const toml::table& table);
    void read_network(const toml::table& table);
    void read_core(const toml::table& root);
    void read_rate(const toml::table& table);
    void check_verb(Verb verb, const toml::table& table);

    std::string name_;
    Mode mode_;
    Scenario out_;
};

Result<Scenario> Parser::read(const toml::table& root) {
    static constexpr std::array<std::string_view, 14> kKeys = {
        "name",
        "seed",
        "quiet",
        "core",
        "calm",
        "start",
        "limit",
        "swarm",
        "train",
        "links",
        "link",
        "step",
        "rate",
        "expect"};
    only(root, "a scenario", kKeys);
    text(root, "name", out_.name);
    number(root, "seed", 0, std::uint64_t{1} << 62U, out_.seed);
    duration(root, "quiet", out_.quiet);
    duration(root, "calm", out_.calm);
    duration(root, "start", out_.start);
    duration(root, "limit", out_.limit);
    if (const auto* table = section(root, "swarm")) read_swarm(*table);
    if (const auto* table = section(root, "train")) read_train(*table);
    if (const auto* table = section(root, "links")) read_links(*table);
    for (const auto* table : sections(root, "link")) read_own_links(*table);
    read_core(root);
    if (const auto* table = section(root, "expect")) read_expect(*this, *table, out_.expect);
    for (const auto* table : sections(root, "step")) read_step(*table);
    for (const auto* table : sections(root, "rate")) read_rate(*table);
    if (fault()) return *fault();
    if (auto ok = check(out_, name_, mode_); !ok) return ok.error();
    return std::move(out_);
}

void Parser::read_swarm(const toml::table& table) {
    static constexpr std::array<std::string_view, 5> kKeys = {
        "peers", "threads", "profile", "state", "network"};
    only(table, "[swarm]", kKeys);
    std::uint64_t peers = out_.peers;
    std::uint64_t threads = out_.threads;
    number(table, "peers", 1, kPeersMax, peers);
    number(table, "threads", 1, 4096, threads);
    out_.peers = static_cast<std::size_t>(peers);
    out_.threads = static_cast<std::size_t>(threads);
    text(table, "profile", out_.profile);
    static constexpr std::array<std::string_view, 4> kProfiles = {"", "lan", "wan", "local"};
    if (std::find(kProfiles.begin(), kProfiles.end(), out_.profile) == kProfiles.end()) {
        fail_at(place_of(table.get("profile")->source()), "'profile' is lan, wan or local");
    }
    read_network(table);
    truth(table, "state", out_.state);
}

/// The simulator has its own network, whatever the file says.
void Parser::read_network(const toml::table& table) {
    std::string network;
    text(table, "network", network);
    if (network.empty()) return;
    if (network != "loopback" && network != "spaces") {
        fail_at(place_of(table.get("network")->source()), "'network' is loopback or spaces");
    }
    if (mode_ != Mode::Spaces) return;
    if (network == "spaces") out_.mode = Mode::Spaces;
    if (network == "loopback") mode_ = Mode::Loopback;
}

/// `half` are the first ones, so that steps can name the others.
void Parser::read_core(const toml::table& root) {
    std::string core;
    text(root, "core", core);
    if (core.empty()) return;
    if (core != "half") {
        const auto peers = by(root, "core", parse_named_peers);
        if (peers) out_.core = *peers;
        return;
    }
    for (std::size_t peer = 1; 2 * peer <= out_.peers + 1; ++peer) out_.core.push_back(peer);
}

/// What the flags mean, a peer knows. Whoever starts peers checks which flags exist.
void Parser::read_train(const toml::table& table) {
    for (const auto& [key, node] : table) {
        Setting setting{std::string(key.str()), {}, place_of(key.source())};
        if (const auto* value = node.as_string()) {
            setting.value = value->get();
        } else if (const auto* whole = node.as_integer()) {
            setting.value = std::to_string(whole->get());
        } else if (const auto* real = node.as_floating_point()) {
            setting.value = fmt::format("{}", real->get());
        } else if (const auto* flag = node.as_boolean()) {
            if (flag->get()) setting.value = "true";
        } else {
            fail_at(setting.place, "a value of [train] is a text, a number or true");
        }
        if (!setting.value.empty()) out_.train.push_back(std::move(setting));
    }
    std::sort(out_.train.begin(), out_.train.end(), [](const Setting& a, const Setting& b) {
        return a.place.line < b.place.line;  // in the order of the file, not of the alphabet
    });
}

void Parser::read_links(const toml::table& table) {
    static constexpr std::array<std::string_view, 4> kKeys = {"delay", "jitter", "loss", "rate"};
    only(table, "[links]", kKeys);
    read_link_values(table, out_.links);
}

void Parser::read_link_values(const toml::table& table, Links& links) {
    links.place = place_of(table.source());
    links.delay = by(table, "delay", parse_duration);
    links.jitter = by(table, "jitter", parse_duration);
    links.loss = by(table, "loss", parse_share);
    links.rate = by(table, "rate", parse_rate);
    if (mode_ == Mode::Loopback && !table.empty()) {
        fail_at(
            links.place, "links on loopback cannot be changed; network = \"spaces\" can do that"
        );
    }
    if (mode_ == Mode::Spaces && !table.empty()) out_.mode = Mode::Spaces;
}

void Parser::read_own_links(const toml::table& table) {
    static constexpr std::array<std::string_view, 6> kKeys = {
        "from", "to", "delay", "jitter", "loss", "rate"};
    only(table, "[[link]]", kKeys);
    OwnLinks own;
    read_link_values(table, own.links);
    const auto from = by(table, "from", parse_named_peers);
    if (!from) return fail_at(own.links.place, "a link says whose it is: from = \"peer 3\"");
    own.from = *from;
    own.to = by(table, "to", parse_named_peers).value_or(std::vector<std::size_t>{});
    if (!own.to.empty() && own.links.rate) {
        fail_at(
            place_of(table.get("rate")->source()),
            "a rate is of all that a peer sends and gets; leave out 'to'"
        );
    }
    out_.own_links.push_back(std::move(own));
}

void Parser::check_verb(Verb verb, const toml::table& table) {
    if (mode_ == Mode::Spaces && !can(Mode::Loopback, verb)) out_.mode = Mode::Spaces;
    if (can(mode_, verb)) return;
    fail_at(place_of(table.get("do")->source()), cannot(mode_, verb));
}

void Parser::read_step(const toml::table& table) {
    static constexpr std::array<std::string_view, 6> kKeys = {
        "name", "when", "do", "for", "deadline", "optional"};
    only(table, "[[step]]", kKeys);
    Step step;
    step.place = place_of(table.source());
    auto action = by(table, "do", parse_action);
    if (!action) return fail_at(step.place, "a step says what to do: do = \"kill random\"");
    step.action = *std::move(action);
    check_verb(step.action.verb, table);
    step.name = to_string(step.action.verb);
    text(table, "name", step.name);
    step.when.kind = When::Kind::After;  // at once after the step before
    if (auto when = by(table, "when", parse_when)) step.when = *std::move(when);
    step.lasts = by(table, "for", parse_duration);
    if (!step.lasts) step.lasts = usual_length(step.action.verb);
    duration(table, "deadline", step.deadline);
    truth(table, "optional", step.optional);
    const auto verb = step.action.verb;
    if (step.lasts && !can_be_undone(verb)) {
        fail_at(
            place_of(table.get("for")->source()),
            fmt::format("'{}' cannot be undone, so it has no 'for'", to_string(verb))
        );
    }
    out_.steps.push_back(std::move(step));
}

void Parser::read_rate(const toml::table& table) {
    static constexpr std::array<std::string_view, 4> kKeys = {"do", "every", "for", "until"};
    only(table, "[[rate]]", kKeys);
    Repeat repeat;
    repeat.place = place_of(table.source());
    auto action = by(table, "do", parse_action);
    if (!action) return fail_at(repeat.place, "a rate says what to do: do = \"pause random\"");
    repeat.action = *std::move(action);
    check_verb(repeat.action.verb, table);
    switch (repeat.action.verb) {
        case Verb::Kill:
        case Verb::PowerOff:
        case Verb::Pause:
        case Verb::Slow:
        case Verb::Isolate:
        case Verb::BlockUdp:
        case Verb::BlockTcp:
            break;
        default:
            fail_at(
                place_of(table.get("do")->source()),
                "a rate can do kill, power-off, pause, slow, isolate, block-udp and block-tcp"
            );
    }
    duration(table, "every", repeat.every);
    if (repeat.every < std::chrono::milliseconds(100)) {
        fail_at(repeat.place, "a rate says how often: every = \"20s\", at least 100ms");
    }
    repeat.lasts = by(table, "for", parse_duration);
    if (!repeat.lasts) fail_at(repeat.place, "a rate says for how long: for = \"2s\"");
    duration(table, "until", repeat.until);
    if (repeat.until / std::max(repeat.every, Duration(1)) > std::int64_t{kStepsMax / 2}) {
        fail_at(repeat.place, "a rate comes at most 5000 times; shorten 'until'");
    }
    if (repeat.action.who.kind != Who::Kind::Random && repeat.action.who.kind != Who::Kind::Peers) {
        fail_at(
            place_of(table.get("do")->source()), "a rate hits 'random', 'random N' or 'peer N'"
        );
    }
    out_.repeats.push_back(std::move(repeat));
}

}  // namespace

Result<Scenario> parse(std::string_view text, std::string_view name, Mode mode) {
    if (text.size() > kFileMax) {
        return fail(
            FaultCode::Usage, fmt::format("{}: a scenario has at most {} bytes", name, kFileMax)
        );
    }
    const auto parsed = toml::parse(text);
    if (!parsed) {
        const auto& error = parsed.error();
        const auto at = place_of(error.source());
        return fail(
            FaultCode::Usage,
            fmt::format("{}:{}:{}: {}", name, at.line, at.column, excerpt(error.description()))
        );
    }
    auto scenario = Parser(name, mode).read(parsed.table());
    if (scenario && scenario->name.empty()) scenario->name = std::string(name);
    return scenario;
}

}  // namespace starling::scenario
