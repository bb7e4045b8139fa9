#pragma once

// How a swarm without a coordinator ends: a pure machine that reads everybody's records.
//
// Each peer says in its record whether its own estimate meets the target. When enough peers say so,
// the sticky flag `ending` rises and spreads; peers stop training, average until they agree, and
// evaluate on the whole test set. Whoever misses opens the next round, which all others follow, and
// asks a little more of its estimate this time. Whoever meets it lingers, serving the rest, until
// all live peers have met it too, bounded in time.

#include <cstdint>
#include <optional>
#include <span>

#include "base/instant.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/terms/record.hpp"

namespace starling::peer {

enum class EndingPhase : std::uint8_t { Train, Settle, Evaluate, Linger, Leave };

struct EndingInputs {
    std::span<const Record> others;  ///< of live peers that train, not ours
    std::size_t joining = 0;         ///< live peers that still fetch what we serve
    std::uint64_t own_steps = 0;
    std::uint64_t swarm_samples = 0;  ///< sum of everybody's counters, the dead included
    std::uint64_t train_samples = 0;  ///< size of the training set, for epochs
    std::optional<double> accuracy;   ///< our own running estimates
    std::optional<double> loss;
    bool settled = false;  ///< recent exchanges were below the tolerance, or nobody is left
    std::optional<double> full_accuracy;  ///< of the evaluation that this phase asked for
    std::optional<double> full_loss;
};

/// Thread    network
class Ending {
public:
    explicit Ending(const Until& until) : until_(until) {}

    /// Looks at the swarm and moves on. Call on every record, report and second.
    EndingPhase advance(Instant now, const EndingInputs& inputs);

    [[nodiscard]] EndingPhase phase() const { return phase_; }

    [[nodiscard]] std::uint32_t round() const { return round_; }

    /// What our record says: our estimate meets the target, and the sticky flag of this round.
    [[nodiscard]] bool reached() const { return reached_; }

    [[nodiscard]] bool ending() const { return phase_ != EndingPhase::Train; }

    /// Whether the last whole evaluation met the target; true where the target is no quality.
    [[nodiscard]] bool met() const { return met_; }

    /// A peer waits at most this long for others to settle, and then for others to finish.
    static constexpr Duration kSettleMax = std::chrono::seconds(20);
    static constexpr Duration kLingerMax = std::chrono::seconds(30);
    /// What each missed round adds to the accuracy that an estimate must show.
    static constexpr double kMissMargin = 0.002;

private:
    void enter(Instant now, EndingPhase phase);
    void follow(Instant now, std::span<const Record> others);
    [[nodiscard]] bool estimate_reached(const EndingInputs& inputs) const;
    [[nodiscard]] bool enough_reached(std::span<const Record> others) const;
    [[nodiscard]] bool quality_met(const EndingInputs& inputs) const;
    void judge(Instant now, const EndingInputs& inputs);
    [[nodiscard]] bool all_finished(std::span<const Record> others) const;

    Until until_;
    EndingPhase phase_ = EndingPhase::Train;
    Instant since_;
    std::uint32_t round_ = 0;
    bool reached_ = false;
    bool met_ = false;
};

}  // namespace starling::peer
