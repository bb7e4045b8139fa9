#pragma once

// A scenario: who runs, what goes wrong when, and what must hold. These are the plain values of a
// scenario file. `starling swarm --scenario` carries it out with real processes, and
// `starling simulate --scenario` with virtual ones. docs/SCENARIOS.md describes the file.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"

namespace starling::scenario {

/// Who carries a scenario out. Each mode has verbs that it cannot do.
enum class Mode : std::uint8_t {
    Loopback,  ///< processes on 127.0.0.1; needs no rights
    Spaces,    ///< processes with a network each, between which links can fail
    Simulate,  ///< virtual peers on a virtual network
};

[[nodiscard]] std::string_view to_string(Mode mode);

/// A place in the file, counted from 1.
struct Place {
    std::size_t line = 0;
    std::size_t column = 0;
};

enum class Verb : std::uint8_t {
    Kill,      ///< SIGKILL
    Term,      ///< SIGTERM: the peer says goodbye
    PowerOff,  ///< the machine goes dark: silence instead of a reset
    Restart,
    Add,
    Pause,  ///< SIGSTOP
    Resume,
    Slow,  ///< it runs for only a part of the time
    Cut,
    Isolate,
    OneWay,
    Bridge,          ///< two halves that reach each other by one peer alone
    MajoritiesRing,  ///< each peer reaches a majority, and no two the same
    Heal,
    Loss,
    Delay,
    Jitter,
    Duplicate,
    Reorder,
    Rate,
    Mtu,
    BlockUdp,
    BlockTcp,
    Reset,          ///< its streams are reset
    HalfOpen,       ///< its streams carry nothing any more, and nobody tells their ends
    SeedsGone,      ///< the founder dies, and who is started again knows only its address
    AddressChange,  ///< it is started again at another address
    DiskFull,       ///< nothing more can be written to its state directory
    DiskReadOnly,   ///< nothing in its state directory can be changed
    FdLimit,        ///< it can have only so many descriptors
    Memory,         ///< it can have only so much memory of its own
    Corrupt,        ///< a byte of its newest checkpoint is changed
    Clock,          ///< its clock stands further on or back from now on
    Liar,           ///< it tells the others what is not so
    Wait,           ///< does nothing but wait for its condition
};

inline constexpr std::size_t kVerbs = 35;

/// What a liar lies about. It has the swarm's key and does everything else as the others do.
enum class Lie : std::uint8_t {
    Frames,  ///< in exchanges it sends altered bytes, too few of them, and numbers that are none or far too large
    Members,  ///< it accuses others, says goodbye for them, moves and invents them, and repeats what it has heard
    Records,  ///< it says that it has trained absurdly much, and the same of others, for whom it cannot sign
    Parameters,  ///< newcomers get numbers of its own making from it
};

inline constexpr std::size_t kLies = 4;

[[nodiscard]] std::string_view to_string(Lie lie);
[[nodiscard]] std::optional<Lie> parse_lie(std::string_view word);

[[nodiscard]] std::string_view to_string(Verb verb);
[[nodiscard]] std::optional<Verb> parse_verb(std::string_view word);

/// Returns whether a mode can carry out a verb.
[[nodiscard]] bool can(Mode mode, Verb verb);

/// Returns why a mode cannot carry out a verb, where that is meant so and will stay; else an empty text.
[[nodiscard]] std::string_view why_not(Mode mode, Verb verb);

/// Returns for instance `starling simulate cannot do 'reorder': ...; it can do kill, ...`.
/// Requires  !can(mode, verb)
[[nodiscard]] std::string cannot(Mode mode, Verb verb);

/// Returns whether what a verb does lasts until it is undone.
[[nodiscard]] bool can_be_undone(Verb verb);

/// Returns how long what a verb does lasts if nobody says so; nothing: until it is undone.
[[nodiscard]] std::optional<Duration> usual_length(Verb verb);

/// Returns whether a verb ends a peer without a word, until it is started again.
[[nodiscard]] bool ends_peer(Verb verb);

/// Returns whether a verb needs a disk of the peer's own.
[[nodiscard]] bool needs_disk_of_its_own(Verb verb);

/// Returns whether a verb parts the peers into two sides, which others may name.
[[nodiscard]] bool has_sides(Verb verb);

/// Returns whether a verb stops what some peers send, until it is healed.
[[nodiscard]] bool is_cut(Verb verb);

/// Returns whether a verb gives all links a value, such as a share of loss.
[[nodiscard]] bool sets_links(Verb verb);

/// Returns the verbs that a mode can carry out, separated by commas.
[[nodiscard]] std::string verbs_of(Mode mode);

/// Whom an action hits. The plan turns each of these into a list of peers before anything starts.
struct Who {
    enum class Kind : std::uint8_t {
        Nobody,
        Founder,
        Peers,   ///< those of `peers`
        Random,  ///< `count` of those that the action can hit
        Half,
        Minority,  ///< the most that are fewer than half
        All,
        Newest,
        Last,  ///< whom the step before hit
        Side,  ///< side `count` (1 or 2) of the cut of step `name`
    };

    Kind kind = Kind::Nobody;
    std::size_t count = 1;
    std::vector<std::size_t> peers;  ///< count from 1, sorted
    std::string name;

    bool operator==(const Who&) const = default;
};

[[nodiscard]] std::string to_string(const Who& who);

/// Returns the peers with these numbers.
[[nodiscard]] Who these(std::vector<std::size_t> peers);

/// One part of a condition.
struct Term {
    enum class Kind : std::uint8_t {
        AllTrain,       ///< every peer that should run trains
        Whole,          ///< each of them lists exactly them as alive
        SpreadBelow,    ///< of every peer
        AccuracyAbove,  ///< of every peer
        StepAbove,      ///< of every peer
        After,          ///< the step of this name is done, and undone if it has a `for`
        Says,           ///< a peer has printed this event since the step before
    };

    Kind kind = Kind::AllTrain;
    double value = 0;
    std::size_t peer = 0;
    std::string name;

    bool operator==(const Term&) const = default;
};

[[nodiscard]] std::string to_string(const Term& term);
[[nodiscard]] std::string to_string(const std::vector<Term>& terms);

/// When a step is due.
struct When {
    enum class Kind : std::uint8_t {
        At,        ///< so long after the storm has begun; does not wait for other steps
        After,     ///< so long after the step before was done
        Condition  ///< all terms hold, once the step before was done
    };

    Kind kind = Kind::Condition;
    Duration time{};
    std::vector<Term> terms;
};

[[nodiscard]] std::string to_string(const When& when);

struct Action {
    Verb verb = Verb::Wait;
    Who who;
    Who other;              ///< the second side of a cut or of links; nobody: all others
    double value = 0;       ///< a share, a factor, bytes, or bytes a second
    Duration time{};        ///< of delay and jitter; of clock: below zero it goes back
    std::size_t count = 0;  ///< how many peers are added
    Lie lie = Lie::Frames;
    std::vector<Term> terms;  ///< of wait
};

[[nodiscard]] std::string to_string(const Action& action);

/// Most steps of a scenario, and of the actions that its rates come to.
inline constexpr std::size_t kStepsMax = 10'000;
inline constexpr Duration kDeadline = std::chrono::seconds(60);

struct Step {
    std::string name;
    When when;
    Action action;
    std::optional<Duration> lasts;  ///< `for`: the action is undone after so long
    Duration deadline = kDeadline;
    bool optional = false;  ///< it is left out if its victims are away
    Place place;
};

/// A schedule of its own: the action comes again and again.
struct Repeat {
    Action action;
    Duration every{};  ///< mean of an exponential distribution
    std::optional<Duration> lasts;
    Duration until = std::chrono::minutes(1);
    Place place;
};

/// What must hold. Nothing means that it is not judged.
struct Expect {
    bool reach = true;  ///< survivors end together and have reached the target, if there is one
    std::optional<Duration> whole_within = std::chrono::seconds(15);
    std::optional<Duration> no_exchange_for = std::chrono::seconds(30);
    std::optional<Duration> training_gap = std::chrono::seconds(30);
    std::optional<std::uint64_t> false_failures = 0;
    std::optional<std::uint64_t> failures;    ///< that anybody calls anybody who runs failed
    std::optional<std::uint64_t> suspicions;  ///< and suspected
    bool progress = true;   ///< in the calm everybody who trains makes steps and exchanges
    bool shards = true;     ///< in the calm all training shards are somebody's duty
    bool mean_kept = true;  ///< in the calm averaging moves no mean; judged in virtual time alone
    std::optional<double> accuracy_lost;  ///< of any survivor, against the baseline
    std::optional<double> baseline;       ///< an accuracy
    bool baseline_is_run = false;  ///< the baseline is a run without the steps, which comes first
    std::optional<double> memory_growth;  ///< bytes, of a peer over the second half of its life
    std::optional<double> spread;         ///< of every survivor at the end of the calm
    /// Parts of lines that peers may write to stderr. Any other line is a finding.
    std::optional<std::vector<std::string>> errors;
};

/// A flag of `starling peer`, with its value.
struct Setting {
    std::string key;
    std::string value;
    Place place;
};

/// Properties of links. Nothing means that the mode's own value stays.
struct Links {
    std::optional<Duration> delay;
    std::optional<Duration> jitter;
    std::optional<double> loss;
    std::optional<double>
        rate;  ///< bytes a second that a peer can send; of one peer's own links: and get
    Place place;
};

/// The links of some peers, in both directions; or those from some peers to others.
struct OwnLinks {
    std::vector<std::size_t> from;  ///< peers, counted from 1
    std::vector<std::size_t> to;    ///< empty: everybody, in both directions
    Links links;
};

struct Scenario {
    std::string name;
    Mode mode = Mode::Loopback;  ///< who carries it out
    std::uint64_t seed = 1;
    std::size_t peers = 4;
    std::size_t threads = 1;  ///< of each peer
    std::string profile;
    bool state = true;
    Duration start = std::chrono::minutes(2);  ///< within this time all peers must train
    /// So long nothing is done to peers that train, and it is measured how fast things go here.
    Duration quiet = std::chrono::seconds(2);
    Duration calm = std::chrono::seconds(30);
    Duration limit = std::chrono::minutes(10);  ///< of the whole run
    std::vector<Setting> train;
    /// Peers that must go on whatever is done to the others: faults that hurt none of them last through the
    /// calm. Empty: all.
    std::vector<std::size_t> core;
    Links links;
    std::vector<OwnLinks> own_links;
    std::vector<Step> steps;
    std::vector<Repeat> repeats;
    Expect expect;
    std::size_t spare = 0;  ///< peers that may be added beside those of the steps

    /// Returns the value of a setting, or an empty text.
    [[nodiscard]] std::string setting(std::string_view key) const;

    /// Returns the number of peers that are added on the way, at most.
    [[nodiscard]] std::size_t added() const;
};

/// Returns whether this sets a clock back, which only that of a peer that does not run can be.
[[nodiscard]] bool goes_back(const Action& action);

/// Returns for instance `1.5s`, which the parser reads as the same duration.
[[nodiscard]] std::string to_text(Duration duration);

}  // namespace starling::scenario
