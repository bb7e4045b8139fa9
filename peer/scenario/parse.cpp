#include "peer/scenario/parse.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "base/printable.hpp"
#include "peer/scenario/check.hpp"
#include "peer/scenario/words.hpp"

namespace starling::scenario {
namespace {

Place place_of(const toml::source_region& region) {
    return {region.begin.line, region.begin.column};
}

/// Reads the tables of one file. The first fault ends it: each member does nothing once there is one.
class Parser {
public:
    Parser(std::string_view name, Mode mode) : name_(name), mode_(mode) {
        out_.mode = mode == Mode::Simulate ? Mode::Simulate : Mode::Loopback;
    }

    Result<Scenario> read(const toml::table& root);

private:
    void fail_at(Place place, const std::string& message);
    void only(const toml::table& table, std::string_view where, std::span<const std::string_view>);
    const toml::table* section(const toml::table& root, const char* key);
    std::vector<const toml::table*> sections(const toml::table& root, const char* key);

    void text(const toml::table& table, const char* key, std::string& into);
    void number(
        const toml::table& table,
        const char* key,
        std::uint64_t least,
        std::uint64_t most,
        std::uint64_t& into
    );
    void duration(const toml::table& table, const char* key, Duration& into);

    /// Reads a text by a function of words.hpp. Returns nothing if the key is not there.
    template <class Read>
    auto by(const toml::table& table, const char* key, Read reader)
        -> std::optional<typename decltype(reader(std::string_view()))::value_type>;

    void read_swarm(const toml::table& table);
    void read_train(const toml::table& table);
    void read_links(const toml::table& table);
    void read_expect(const toml::table& table);
    void read_errors(const toml::node& node);
    void read_limit(const toml::table& table, const char* key, std::optional<Duration>& into);
    void read_step(const toml::table& table);
    void read_network(const toml::table& table);
    void read_rate(const toml::table& table);
    void check_verb(Verb verb, const toml::table& table);

    std::string name_;
    Mode mode_;
    Scenario out_;
    std::optional<Fault> fault_;
};

void Parser::fail_at(Place place, const std::string& message) {
    if (fault_) return;
    fault_ = fail(
        FaultCode::Usage, fmt::format("{}:{}:{}: {}", name_, place.line, place.column, message)
    );
}

/// Refuses keys that are not among `known`.
void Parser::only(
    const toml::table& table, std::string_view where, std::span<const std::string_view> known
) {
    for (const auto& [key, node] : table) {
        if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
        fail_at(
            place_of(key.source()),
            fmt::format(
                "{} has no '{}'; it has {}", where, excerpt(key.str()), fmt::join(known, ", ")
            )
        );
    }
}

const toml::table* Parser::section(const toml::table& root, const char* key) {
    const auto* node = root.get(key);
    if (node == nullptr) return nullptr;
    if (!node->is_table()) {
        fail_at(place_of(node->source()), fmt::format("'{0}' is a table: [{0}]", key));
        return nullptr;
    }
    return node->as_table();
}

std::vector<const toml::table*> Parser::sections(const toml::table& root, const char* key) {
    std::vector<const toml::table*> found;
    const auto* node = root.get(key);
    if (node == nullptr) return found;
    const auto* array = node->as_array();
    const bool right = array != nullptr && array->is_homogeneous(toml::node_type::table);
    if (!right || array->size() > kStepsMax) {
        fail_at(
            place_of(node->source()),
            fmt::format(
                "each '{0}' is a table with two brackets, [[{0}]], at most {1}", key, kStepsMax
            )
        );
        return found;
    }
    for (const auto& entry : *array) found.push_back(entry.as_table());
    return found;
}

void Parser::text(const toml::table& table, const char* key, std::string& into) {
    const auto* node = table.get(key);
    if (node == nullptr) return;
    const auto* value = node->as_string();
    if (value == nullptr) {
        fail_at(place_of(node->source()), fmt::format("'{}' is a text in double quotes", key));
    } else {
        into = value->get();
    }
}

void Parser::number(
    const toml::table& table,
    const char* key,
    std::uint64_t least,
    std::uint64_t most,
    std::uint64_t& into
) {
    const auto* node = table.get(key);
    if (node == nullptr) return;
    const auto* value = node->as_integer();
    const bool right = value != nullptr && value->get() >= 0 &&
                       static_cast<std::uint64_t>(value->get()) >= least &&
                       static_cast<std::uint64_t>(value->get()) <= most;
    if (!right) {
        fail_at(
            place_of(node->source()),
            fmt::format("'{}' is a whole number from {} to {}", key, least, most)
        );
    } else {
        into = static_cast<std::uint64_t>(value->get());
    }
}

template <class Read>
auto Parser::by(const toml::table& table, const char* key, Read reader)
    -> std::optional<typename decltype(reader(std::string_view()))::value_type> {
    const auto* node = table.get(key);
    if (node == nullptr || fault_) return {};
    std::string value;
    text(table, key, value);
    if (fault_) return {};
    auto result = reader(std::string_view(value));
    if (!result) {
        fail_at(place_of(node->source()), result.error().message);
        return {};
    }
    return *std::move(result);
}

void Parser::duration(const toml::table& table, const char* key, Duration& into) {
    into = by(table, key, parse_duration).value_or(into);
}

Result<Scenario> Parser::read(const toml::table& root) {
    static constexpr std::array<std::string_view, 11> kKeys = {
        "name",
        "seed",
        "calm",
        "start",
        "limit",
        "swarm",
        "train",
        "links",
        "step",
        "rate",
        "expect"};
    only(root, "a scenario", kKeys);
    text(root, "name", out_.name);
    number(root, "seed", 0, std::uint64_t{1} << 62U, out_.seed);
    duration(root, "calm", out_.calm);
    duration(root, "start", out_.start);
    duration(root, "limit", out_.limit);
    if (const auto* table = section(root, "swarm")) read_swarm(*table);
    if (const auto* table = section(root, "train")) read_train(*table);
    if (const auto* table = section(root, "links")) read_links(*table);
    if (const auto* table = section(root, "expect")) read_expect(*table);
    for (const auto* table : sections(root, "step")) read_step(*table);
    for (const auto* table : sections(root, "rate")) read_rate(*table);
    if (fault_) return *fault_;
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
    if (const auto* node = table.get("state")) {
        const auto* value = node->as_boolean();
        if (value == nullptr) {
            fail_at(place_of(node->source()), "'state' is true or false");
        } else {
            out_.state = value->get();
        }
    }
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
    auto& links = out_.links;
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

void Parser::read_limit(const toml::table& table, const char* key, std::optional<Duration>& into) {
    std::string value;
    text(table, key, value);
    if (value == "no") {
        into.reset();
    } else if (auto limit = by(table, key, parse_duration)) {
        into = limit;
    }
}

void Parser::read_errors(const toml::node& node) {
    const auto* array = node.as_array();
    if (array == nullptr || !array->is_homogeneous(toml::node_type::string)) {
        return fail_at(
            place_of(node.source()), "'errors' is a list of texts that lines on stderr may contain"
        );
    }
    out_.expect.errors.emplace();
    for (const auto& entry : *array) {
        out_.expect.errors->push_back(entry.as_string()->get());
    }
}

void Parser::read_expect(const toml::table& table) {
    static constexpr std::array<std::string_view, 7> kKeys = {
        "reach",
        "whole_within",
        "no_exchange_for",
        "training_gap",
        "false_failures",
        "spread",
        "errors"};
    only(table, "[expect]", kKeys);
    auto& expect = out_.expect;
    std::string reach = "until";
    text(table, "reach", reach);
    if (reach != "until" && reach != "no") {
        fail_at(place_of(table.get("reach")->source()), "'reach' is \"until\" or \"no\"");
    }
    expect.reach = reach == "until";
    read_limit(table, "whole_within", expect.whole_within);
    read_limit(table, "no_exchange_for", expect.no_exchange_for);
    read_limit(table, "training_gap", expect.training_gap);
    if (const auto* node = table.get("false_failures")) {
        if (node->is_string() && node->as_string()->get() == "no") {
            expect.false_failures.reset();
        } else {
            number(table, "false_failures", 0, 1'000'000, expect.false_failures.emplace());
        }
    }
    if (const auto* node = table.get("spread")) {
        const auto value = node->value<double>();
        if (!value || !node->is_number() || !(*value > 0)) {
            fail_at(place_of(node->source()), "'spread' is a number above 0");
        } else {
            expect.spread = value;
        }
    }
    if (const auto* node = table.get("errors")) read_errors(*node);
}

void Parser::check_verb(Verb verb, const toml::table& table) {
    if (mode_ == Mode::Spaces && !can(Mode::Loopback, verb)) out_.mode = Mode::Spaces;
    if (can(mode_, verb)) return;
    fail_at(
        place_of(table.get("do")->source()),
        fmt::format(
            "{} cannot do '{}'; it can do {}", to_string(mode_), to_string(verb), verbs_of(mode_)
        )
    );
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
    duration(table, "deadline", step.deadline);
    if (const auto* node = table.get("optional")) {
        const auto* value = node->as_boolean();
        if (value == nullptr)
            return fail_at(place_of(node->source()), "'optional' is true or false");
        step.optional = value->get();
    }
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
