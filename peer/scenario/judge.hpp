#pragma once

// Holds a run against what its scenario expects. It has no clock: the driver shows it the peers now
// and then, tells it of each fault that begins or ends, and of what peers say. Each finding carries
// its evidence.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/instant.hpp"
#include "peer/scenario/calm.hpp"
#include "peer/scenario/history.hpp"
#include "peer/scenario/scenario.hpp"
#include "peer/scenario/tempo.hpp"
#include "peer/scenario/view.hpp"

namespace starling::scenario {

/// An accusation does not count as false until a peer has been left alone for so long.
inline constexpr Duration kGrace = std::chrono::seconds(15);
/// Most findings that are kept; more are counted.
inline constexpr std::size_t kFindingsMax = 200;

struct Finding {
    std::string what;
    double at = 0;  ///< seconds since the driver's start
    std::vector<std::string> evidence;
};

/// What somebody expects of a run that is still going on.
struct Claim {
    enum class Kind : std::uint8_t {
        WholeWithin,    ///< the longest time so far until all listed all, in seconds
        NoExchangeFor,  ///< the longest time so far without an exchange
        TrainingGap,    ///< and without a step
        FalseFailures,  ///< so far
        Spread,         ///< of every active peer now
        Members,        ///< whom every active peer lists now
    };

    Kind kind = Kind::Members;
    double most = 0;  ///< of Members: exactly
};

/// What the run came to, in numbers.
struct Measures {
    double whole_max = 0;  ///< longest time from a fault's begin or end until all list all, seconds
    std::uint64_t times_whole = 0;  ///< how often that was measured
    double exchange_gap = 0;        ///< longest time without an exchange anywhere, seconds
    double training_gap = 0;        ///< longest time without a step anywhere, seconds
    std::uint64_t false_failures = 0;
    std::uint64_t failures = 0;    ///< that anybody called anybody failed who ran
    std::uint64_t suspicions = 0;  ///< that anybody suspected anybody who ran
    std::uint64_t faults = 0;      ///< peers and links that were hurt
};

class Judge {
public:
    /// Times of findings count from `began`.
    explicit Judge(const Scenario& scenario, Instant began = {});

    /// Notes that a fault on these peers begins (`ongoing` until it ends) or ends. An empty list
    /// means all peers.
    void fault_begins(Instant now, const std::vector<std::size_t>& peers, bool ongoing);
    void fault_ends(Instant now, const std::vector<std::size_t>& peers);

    /// Looks at the peers. `settled` says that no fault goes on, so that all must become whole.
    void observe(Instant now, const View& view, bool settled);

    /// Looks at the peers while they train and nothing has been done to them yet.
    void observe_quiet(Instant now, const View& view) {
        tempo_.observe(now, view);
        calm_.before(now, view);
    }

    /// Returns by how much things take longer here than usual. Limits are multiplied by it.
    [[nodiscard]] double slowness() const { return tempo_.slowness(); }

    /// See Calm.
    void know_shards(std::uint64_t shards) { calm_.know_shards(shards); }

    /// Looks at the peers in the calm, when no fault goes on any more.
    void observe_calm(Instant now, const View& view) { calm_.observe(now, view); }

    /// Takes what averaging has done to all peers in the calm, see Calm.
    void averaged(std::span<const double> moved, double squares) { calm_.averaged(moved, squares); }

    /// Notes that a peer was told to leave, which it tells the others.
    void says_goodbye(Instant now, std::size_t peer);

    /// Notes that peer `by` has called peer `about` failed.
    void called_failed(Instant now, std::size_t by, std::size_t about, const View& view);

    /// Notes that peer `by` suspects peer `about`.
    void suspected(Instant now, std::size_t by, std::size_t about, const View& view);

    /// Notes a line that a peer has written to stderr.
    void error_line(Instant now, std::size_t peer, const std::string& line);

    /// Judges the end of the calm.
    void calm_over(Instant now, const View& view, const History& history);

    /// Returns what a claim says, if it does not hold by now, else an empty text.
    [[nodiscard]] std::string check(const Claim& claim, const View& view) const;

    void add(Instant now, std::string what, std::vector<std::string> evidence = {});

    [[nodiscard]] const std::vector<Finding>& findings() const { return findings_; }

    /// Returns how many findings there were, those included that were not kept.
    [[nodiscard]] std::size_t count() const { return count_; }

    [[nodiscard]] const Measures& measures() const { return measures_; }

private:
    struct Trust {
        std::size_t faults = 0;  ///< that go on
        Instant calm_since;
        std::optional<Instant> goodbye;
    };

    /// Measures how long a sum of counters stays as it is.
    struct Gap {
        std::uint64_t sum = 0;
        std::optional<Instant> since;
        bool told = false;
    };

    void each(const std::vector<std::size_t>& peers, std::size_t all, auto&& change);
    void look_at_gap(
        Instant now,
        Gap& gap,
        std::uint64_t sum,
        bool counts,
        const char* name,
        const std::optional<Duration>& limit,
        double& longest
    );
    void look_at_whole(Instant now, const View& view, bool settled);
    [[nodiscard]] bool trusted(std::size_t peer, Instant now) const;
    [[nodiscard]] double seconds(Instant at) const;
    [[nodiscard]] Duration scaled(Duration limit) const;

    Expect expect_;
    std::vector<std::size_t> core_;
    Calm calm_;
    Tempo tempo_;
    std::vector<Trust> trust_;
    Instant began_;
    std::optional<Instant> whole_since_;  ///< waits since then for all to list all
    bool late_ = false;
    Gap exchanges_;
    Gap steps_;
    Measures measures_;
    std::vector<Finding> findings_;
    std::size_t count_ = 0;
};

/// Returns the last line of a run: whether it was clean, in words.
[[nodiscard]] std::string verdict_line(const Judge& judge, std::size_t carried_out);

}  // namespace starling::scenario
