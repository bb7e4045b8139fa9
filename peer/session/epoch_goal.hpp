#pragma once

// How far a peer trains where the target is a number of epochs: until all of its shards have come so far. The swarm has
// finished when the shards of all owners have, by the places in their records (docs/decisions/0033-finished-epochs.md).
// Samples that are repeated after a death bring nobody nearer to the end.
//
// Thread    network

#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "peer/terms/duty.hpp"
#include "peer/terms/swarm_view.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

class EpochGoal {
public:
    /// Without a target in epochs it limits nothing and is never done.
    EpochGoal(const Until& until, std::uint32_t batch);

    /// Returns the place that every shard has to reach; nothing for another target.
    [[nodiscard]] const std::optional<DutyPlace>& target() const { return target_; }

    /// Returns whether update() may have something new to say: our shards have changed, or the limit is used up. `version`
    /// names the set of shards that we have and hold, `own` is how many samples we have trained on.
    [[nodiscard]] bool due(std::uint64_t own, std::uint64_t version) const;

    /// Our held shards lack so many samples up to the target. Returns whether the limit has changed: then give it to the
    /// trainer.
    bool update(std::uint64_t own, std::uint64_t version, double left);

    /// Returns up to how many samples of our own we may train.
    [[nodiscard]] std::optional<std::uint64_t> limit() const;

    /// Returns whether the limit allows no further step.
    [[nodiscard]] bool used_up(std::uint64_t own) const;

    /// Returns whether our held shards, which are still the same, have reached the target.
    [[nodiscard]] bool done(std::uint64_t own, std::uint64_t version) const;

    /// Remembers since when each peer has trained on nothing new. Call it with each view.
    void hear(Instant now, const PeerId& self, std::uint64_t own, const SwarmView& view);

    /// Returns whether none of these peers has trained on anything for so long that nobody should wait for it.
    [[nodiscard]] bool stuck(Instant now, std::span<const PeerId> peers) const;

    /// A peer that makes no step for so long, and for four of its steps, is not waited for: it cannot get the bytes of a
    /// shard, or it lies.
    static constexpr Duration kPatience = std::chrono::seconds(60);
    /// So many times as long as counters take to come at the most, where that is longer.
    static constexpr int kUnheard = 3;

private:
    struct Word {
        std::uint64_t samples = 0;
        double rate = 0.0;
        Instant since;
    };

    void note(Instant now, const PeerId& id, std::uint64_t samples, double rate);

    std::optional<DutyPlace> target_;
    std::uint64_t batch_;
    std::optional<std::uint64_t> limit_;
    std::uint64_t version_ = 0;  ///< of the shards that the limit is for
    std::map<PeerId, Word> words_;
    Duration records_every_{};  ///< as in the last view
};

}  // namespace starling::peer
