#pragma once

// What the calm must show once all faults are over: that everybody who trains goes on, that no part of the data
// was lost with the dead, that averaging moves no mean, and that nobody's memory grows. A machine without I/O.
//
// Who makes no step is held against the others, not against a clock: how long a step takes depends on the model
// and the machine, and one that stands still among many that do not is at fault on any.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/instant.hpp"
#include "peer/scenario/history.hpp"
#include "peer/scenario/scenario.hpp"
#include "peer/scenario/view.hpp"

namespace starling::scenario {

class Calm {
public:
    explicit Calm(const Scenario& scenario);

    /// Says how many training shards there are. Among very many peers several believe for long that one is theirs.
    void know_shards(std::uint64_t shards) { shards_ = shards; }

    /// Looks at the peers while nothing has been done to them yet: whose duty is which part of the data. What they
    /// say then is believed once they have said it for kSettled.
    void before(Instant now, const View& view);

    /// Looks at the peers while no fault goes on any more.
    void observe(Instant now, const View& view);

    /// Takes what averaging has added to the values of all peers that count in the sum, and the sum of the squares of
    /// all single additions, between two moments in which no exchange ran.
    /// Shapes    moved [V], the same V each time
    void averaged(std::span<const double> moved, double squares);

    /// Returns what does not hold, and the evidence of each.
    [[nodiscard]] std::vector<std::pair<std::string, std::vector<std::string>>> judge() const;

private:
    /// A peer that has trained in the calm from its first look to its last.
    struct Witness {
        bool trains = false;
        std::uint64_t steps_first = 0;
        std::uint64_t steps = 0;
        std::uint64_t exchanges_first = 0;
        std::uint64_t exchanges = 0;
        bool idle = false;  ///< it has no shard, so it makes no step
        bool ghost = false;
    };

    using Findings = std::vector<std::pair<std::string, std::vector<std::string>>>;

    void judge_progress(Findings& findings) const;
    void judge_shards(Findings& findings) const;
    void judge_mean(Findings& findings) const;

    Expect expect_;
    std::vector<std::size_t> core_;  ///< empty: all
    bool mixes_ = true;
    bool shares_data_ = true;
    std::vector<Witness> witnesses_;
    std::optional<Instant> settled_since_;  ///< since then all train and list all
    Instant settled_until_;
    std::optional<std::uint64_t> shards_;  ///< nothing: nobody has said it
    std::uint64_t duties_before_ = 0;      ///< the fewest in that time
    std::uint64_t duties_ = 0;             ///< the most in the calm

    std::optional<Instant> began_;
    Instant last_;
    /// Of each part of the calm, the square of the whole way over the sum of the squares of all single ways.
    std::vector<double> drifts_;
};

/// Returns the peers whose memory has grown by more than `bytes` over the second half of their present life, as
/// sentences. A life of fewer than 20 samples is too short to tell.
[[nodiscard]] std::vector<std::string> grown(const History& history, double bytes);

}  // namespace starling::scenario
