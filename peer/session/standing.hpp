#pragma once

// Whose model the swarm goes on with. A peer that comes back is a ghost: it stands outside the sum and
// pulls from those that count in it (gossip/averager.hpp). When all have been down, all are ghosts, and
// there is nobody to pull from. Then the one whose model has learned from the most samples counts itself
// in, and the others pull from it. It may start later than others that have less: so one that has counted
// itself in a moment ago, and those that have pulled from it, give way to one that has clearly more. What a
// minority still knows from an hour ago drags nobody back.
//
// Samples are those of the whole swarm, which the model has learned from as far as its peer knows, and not
// those of one peer: who has trained the most may have been away for the longest time.
//
// Thread    network

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "peer/terms/swarm_view.hpp"

namespace starling::peer {

enum class StandingStep : std::uint8_t {
    None,
    CountIn,     ///< the swarm goes on with our model: count in the sum
    StandAside,  ///< somebody's model has learned more: become a ghost again and pull
};

class Standing {
public:
    /// Who has the most waits so long before it counts itself in, so that it has heard of those that start
    /// at the same time.
    static constexpr Duration kLeadWait = std::chrono::seconds(2);
    /// If nobody counts in the sum for so long, a ghost waits no longer for the one that has more.
    static constexpr Duration kNobodyMax = std::chrono::seconds(10);
    /// Who counts in the sum since it came back gives way for so long.
    static constexpr Duration kYieldMax = std::chrono::seconds(60);

    struct Inputs {
        bool ghost = false;
        bool whole = false;         ///< we train on parameters that are whole
        bool fetching = false;      ///< we have none of our own yet
        std::uint64_t samples = 0;  ///< of our own
    };

    explicit Standing(const PeerId& self) : self_(self) {}

    /// `learned` is what the parameters of the last life had learned from, `samples` what this peer has
    /// trained on in all its lives; 0 for a new peer.
    void begin(std::uint64_t learned, std::uint64_t samples);

    /// Nobody trains, so we begin with the parameters of the swarm's seed and count in the sum at once.
    void begin_from_seed(Instant now);

    /// Others train, but we begin with those parameters, as a ghost.
    void begin_from_nothing() { learned_ = 0; }

    /// Looks at the view and says what to do now. Call it for each view.
    [[nodiscard]] StandingStep advance(Instant now, const Inputs& inputs, const SwarmView& view);

    /// Returns from how many samples of the swarm our parameters have learned. It does not grow while we
    /// are a ghost.
    [[nodiscard]] std::uint64_t learned() const { return learned_; }

    /// Returns who is a ghost: it is asked for nothing. In order of id, as those below.
    [[nodiscard]] std::span<const PeerId> ghosts() const { return ghosts_; }

    /// Returns whose models are clearly behind ours, as long as they may give way to it: nothing is averaged
    /// with them.
    [[nodiscard]] std::span<const PeerId> shunned() const { return shunned_; }

private:
    [[nodiscard]] StandingStep decide(Instant now, const Inputs& inputs, const SwarmView& view);
    [[nodiscard]] StandingStep advance_ghost(Instant now, const SwarmView& view);
    void count_samples(Instant now, const Inputs& inputs, const SwarmView& view);
    void note_others(const Inputs& inputs, const SwarmView& view);
    [[nodiscard]] bool better(std::uint64_t learned, const PeerId& id) const;

    PeerId self_;
    std::uint64_t learned_ = 0;
    std::uint64_t own_ = 0;                    ///< our samples at the last view
    std::map<PeerId, std::uint64_t> counted_;  ///< samples of those that counted at the last view
    bool was_ghost_ = false;
    bool leads_ = false;                   ///< we have counted ourselves in, and did not pull
    std::optional<Instant> alone_since_;   ///< we are whole, and nobody counts in the sum
    std::optional<Instant> best_since_;    ///< and nobody has more than we
    std::optional<Instant> counts_since_;  ///< we came back, and count in the sum
    std::vector<PeerId> ghosts_;
    std::vector<PeerId> shunned_;
};

}  // namespace starling::peer
