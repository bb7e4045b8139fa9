#pragma once

// How long to wait between two exchanges, as a machine without I/O: as short as exchanges cost next to
// nothing, and no longer than keeps the peers together. It hears when an exchange was asked for, how
// each one has ended and what it has cost, and says when to ask for the next.
//
//   by cost     exchanges take 2 % of the time: two in each interval, one that we open and one that a
//               partner opens
//   by spread   the distance to a partner stays below a target. It wins over the 2 %, up to 20 % of the
//               time
//   by upload   what both send of us stays within three quarters of the upload limit; newcomers need
//               some of it, too. It wins over both
//
// The interval changes by a factor of two at most with each exchange. One that still runs is not
// doubled, so on a slow link the next begins when the last has ended. A partner that lies about its
// parameters is one voice: the distance is the median of the last five exchanges, and what is sent and
// computed has the bounds above whatever partners say.
//
// Source    the distance as a quantity to control: Kong et al. 2021, Consensus Control for Decentralized
//           Deep Learning; theirs needs rounds of everybody, ours goes by the pairs that meet.
//           docs/decisions/0043-mix-every-auto.md says why these numbers.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/instant.hpp"
#include "gossip/outcome.hpp"

namespace starling::gossip {

/// What an interval follows from.
enum class IntervalBy : std::uint8_t {
    Start,   ///< no exchange has been measured yet
    Fixed,   ///< somebody has said how long it is
    Steps,   ///< exchanges come after every step, because they cost so little
    Cost,    ///< they take as much time as they may
    Spread,  ///< the peers would drift too far apart
    Upload,  ///< the upload limit
    Link,    ///< exchanges run for longer than the interval, one after the other
    Alone,   ///< there is nobody to exchange with
};

[[nodiscard]] std::string_view to_string(IntervalBy by);

class Interval {
public:
    struct Limits {
        double upload = 0.0;            ///< bytes a second; 0: none
        std::optional<Duration> fixed;  ///< given instead of measured
    };

    /// What the driver knows when an exchange ends.
    struct Measured {
        /// What one exchange takes from training: processor time of the network thread, and the time for
        /// which training may have waited for locks.
        Duration cost{};
        Duration step{};  ///< of a local step; zero: not known
        std::uint64_t steps =
            0;  ///< place in the schedule, from which the target of the spread follows
    };

    explicit Interval(const Limits& limits);

    /// An exchange was asked for at due(). With `begun` it runs now, and handle_end() follows; else
    /// nobody was free, or with `alone` nobody was there.
    void handle_asked(Instant now, bool begun, bool alone);

    /// An exchange has ended. Those that a partner has opened, and those that were not asked for here,
    /// change nothing.
    void handle_end(Instant now, const ExchangeEvent& event, const Measured& measured);

    /// Returns from when on to ask for the next exchange; nothing: one runs.
    [[nodiscard]] std::optional<Instant> due() const;

    [[nodiscard]] Duration interval() const { return interval_; }

    [[nodiscard]] IntervalBy by() const { return by_; }

    /// Returns the share of the time that exchanges take, of both roles together.
    [[nodiscard]] double cost_share() const;

    /// Returns the largest distance to a partner, relative to the size of the parameters, that is no
    /// reason to mix more often. A difference between peers is a noise that the loss feels while it falls
    /// fast, and hardly later on: so the target rises with the root of the steps made.
    [[nodiscard]] static double target_spread(std::uint64_t steps);

    static constexpr double kCostShare = 0.02;
    static constexpr double kCostShareMost = 0.2;
    static constexpr double kUploadShare = 0.75;
    static constexpr double kSpreadEarly = 0.05;
    static constexpr double kSpreadLate = 0.2;
    static constexpr std::uint64_t kStepsEarly = 500;
    static constexpr double kChangeMost = 2.0;
    static constexpr Duration kFirst = std::chrono::milliseconds(100);
    static constexpr Duration kLeast = std::chrono::microseconds(500);
    static constexpr Duration kMost = std::chrono::hours(1);
    /// Whoever is not free now is soon; whoever is not there is not.
    static constexpr Duration kRetryBusy = std::chrono::milliseconds(10);
    static constexpr Duration kRetryAlone = std::chrono::milliseconds(250);

private:
    void take(Instant now, const ExchangeEvent& event, const Measured& measured);
    void note_distance(const ExchangeEvent& event, Duration gap, double target);
    [[nodiscard]] std::optional<Duration> room() const;
    void adjust(const Measured& measured);

    Limits limits_;
    Duration interval_;
    IntervalBy by_;
    IntervalBy measured_by_;  ///< of the last exchange, for when somebody is there again
    Instant due_;
    bool asked_ = false;                ///< an exchange of ours runs
    Instant begun_;                     ///< the last one
    std::optional<Instant> committed_;  ///< when the last that was committed had begun

    // Running means over exchanges, in seconds and bytes; the first one counts whole.
    std::size_t samples_ = 0;
    double cost_ = 0.0;
    double bytes_ = 0.0;
    /// After how long the distance would reach the target, by the last exchanges.
    std::array<Duration, 5> rooms_{};
    std::size_t rooms_seen_ = 0;
};

}  // namespace starling::gossip
