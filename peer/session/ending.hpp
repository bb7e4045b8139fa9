#pragma once

// How a swarm without a coordinator ends: a state machine without I/O that reads the records of all
// peers.
//
// Only what peers have signed counts, and nobody is believed alone: a liar can open no round and end
// none, as long as more than half of the others are honest. Of two peers each believes the other.
//
// Each peer says in its record whether its own estimate meets the target. When enough peers say so,
// the sticky flag `ending` rises and spreads. The peers stop training, average until they agree,
// and evaluate on the whole test set. A peer that misses the target opens the next round. All
// others follow it, and all ask a little more of their estimates in that round. A peer that meets
// the target lingers: it serves the others until all live peers have met the target, or until a
// time limit.

#include <cstdint>
#include <optional>
#include <span>

#include "base/instant.hpp"
#include "peer/terms/record.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

enum class EndingPhase : std::uint8_t { Train, Settle, Evaluate, Linger, Leave };

struct EndingInputs {
    std::span<const Record> others;  ///< the records of the other live peers that train
    std::size_t joining = 0;         ///< number of live peers that still fetch what we serve
    std::uint64_t own_steps = 0;
    std::uint64_t swarm_samples = 0;              ///< sum over all peers, the dead ones included
    std::optional<std::uint64_t> samples_wanted;  ///< of all peers
    bool epochs_done = false;                     ///< all shards have come as far as the target
    std::optional<double> estimate;  ///< our own running one, of the quality that is the target
    bool settled = false;        ///< all partners are nearer than the tolerance, or there are none
    bool draws_norms = false;    ///< they are, and batch norm's statistics are being drawn anew
    bool evaluated = false;      ///< the whole test set has been measured
    std::optional<double> full;  ///< then the quality there; nothing where it cannot be told
};

/// Thread    network
class Ending {
public:
    explicit Ending(const Until& until) : until_(until) {}

    /// We have founded the swarm: nobody has been in it for longer, so the first one whom we see is believed no more than
    /// any other.
    void found() { alone_ = false; }

    /// Looks at the inputs and goes on to the next phase if it is time. Returns the phase. Session
    /// calls it ten times a second, and at once when something has changed.
    EndingPhase advance(Instant now, const EndingInputs& inputs);

    [[nodiscard]] EndingPhase phase() const { return phase_; }

    [[nodiscard]] std::uint32_t round() const { return round_; }

    /// Returns whether our estimate has met the target in this round. Our record says so.
    [[nodiscard]] bool reached() const { return reached_; }

    /// Returns the sticky flag of this round. Our record contains it.
    [[nodiscard]] bool ending() const { return phase_ != EndingPhase::Train; }

    /// Returns whether the last evaluation on the whole test set met the target. If the target is no
    /// quality, every evaluation meets it.
    [[nodiscard]] bool met() const { return met_; }

    /// A peer averages at most so long until it agrees with its partners.
    static constexpr Duration kSettleMax = std::chrono::seconds(20);
    /// Drawing batch norm's statistics anew may take so much longer.
    static constexpr Duration kNormsMax = std::chrono::seconds(40);
    /// A peer lingers at most so long.
    static constexpr Duration kLingerMax = std::chrono::seconds(30);
    /// Each missed round adds this much to the accuracy or the like that an estimate must show, or
    /// takes this share off the loss or the like.
    static constexpr double kMissMargin = 0.002;
    /// Rounds that add to it.
    static constexpr std::uint32_t kMissesMax = 16;
    /// A peer that trains follows another by one round if that one is ahead for so long.
    static constexpr Duration kFollowAfter = std::chrono::seconds(10);
    /// So many times it follows fewer than half of the others.
    static constexpr std::uint32_t kFollowFewMax = 4;

private:
    void enter(Instant now, EndingPhase phase);
    void follow(Instant now, std::span<const Record> others);
    [[nodiscard]] std::uint32_t next_round(Instant now, std::span<const Record> others);
    [[nodiscard]] bool meets(double quality, double margin) const;
    [[nodiscard]] bool estimate_reached(const EndingInputs& inputs) const;
    [[nodiscard]] bool enough_reached(std::span<const Record> others) const;
    void judge(Instant now, const EndingInputs& inputs);
    [[nodiscard]] bool all_finished(std::span<const Record> others) const;

    Until until_;
    EndingPhase phase_ = EndingPhase::Train;
    Instant since_;
    std::uint32_t round_ = 0;
    bool reached_ = false;
    bool met_ = false;
    bool alone_ = true;  ///< no view so far had others, and we came or came back
    std::uint32_t followed_few_ = 0;
    std::optional<Instant> behind_since_;  ///< somebody has been ahead of the round since then
};

}  // namespace starling::peer
