#pragma once

// How a shard goes on where its owner before has stopped (docs/decisions/0032-hand-over.md). All peers
// shuffle with one seed, and each says in its record how far it is: one place for nearly all of its
// shards, and the places of the few that it got lately. When our duties change, we look up who was the
// owner until now, and what it said last. From there our trainer goes on.
//
// Views differ for some seconds after a death: the heir by our view may not have heard of it, and its
// word then says nothing of that shard. So of what the owner says and what one said that was the owner
// until its recent death, the lesser counts.
//
// A hand-over leaves no sample out. It repeats those that the owner before gave out after its last
// word, or after the word before the last one if it still lives.
//
// Thread    network

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "data/batcher.hpp"
#include "data/manifest.hpp"
#include "peer/terms/swarm_view.hpp"
#include "peer/terms/training.hpp"

namespace starling::peer {

class HandOver {
public:
    /// Requires  `manifest` outlives this object
    HandOver(const PeerId& self, const data::Manifest& manifest);

    /// Our duties have changed: `owners` are those that counted until now, `duty` the training shards
    /// that are ours now, in the manifest's order. `own` is how far we are; nothing before the first step.
    void change(
        std::span<const TrainingPeer> owners,
        std::span<const ShardId> duty,
        const std::optional<DutyPlace>& own
    );

    /// Forgets where our shards begin: before a peer begins to train, all its shards are new to it.
    void forget() { starts_.clear(); }

    /// Remembers what all have said. Call it with each view, after the changes that follow from it.
    void note(Instant now, const SwarmView& view);

    /// Returns by how many epochs we are ahead of most others; below 0: behind.
    [[nodiscard]] double lead(const data::EpochPlace& own) const;

    /// Returns where each shard of our duty begins, as far as it is known.
    [[nodiscard]] std::vector<data::ShardStart> starts() const;

    /// Returns how many samples our shards lack up to a place, but for those of which `holds` says that we have no
    /// bytes.
    [[nodiscard]] double left(
        const TrainerReport& report,
        const DutyPlace& target,
        const std::function<bool(const ShardId&)>& holds
    ) const;

    /// Returns who among the owners has a shard that has not come to a place, with us. A shard counts as its owner
    /// says, or as one said that was the owner until its recent death, where that is less.
    [[nodiscard]] std::vector<PeerId> behind(
        std::span<const TrainingPeer> owners, const TrainerReport& report, const DutyPlace& target
    );

    /// Returns what our record says, from what the trainer has told. Nothing without a duty.
    [[nodiscard]] std::optional<DutyProgress> progress(const TrainerReport& report) const;

private:
    /// What those said last that are gone, for so long as nobody can know whether their heirs have heard of it.
    struct LastWords {
        std::vector<TrainingPeer> owners;  ///< with those that are gone
        std::map<PeerId, const DutyProgress*> words;
    };

    /// The owners of all training shards among some peers, which take long to compute.
    struct KnownOwners {
        std::vector<TrainingPeer> among;
        std::vector<PeerId> of;
    };

    [[nodiscard]] std::optional<DutyPlace> usual() const;
    [[nodiscard]] LastWords last_words(std::span<const TrainingPeer> owners) const;
    void know(KnownOwners& owners, std::span<const TrainingPeer> among) const;
    [[nodiscard]] std::vector<std::pair<std::uint16_t, DutyPlace>> places_of(
        const TrainerReport& report
    ) const;

    PeerId self_;
    const data::Manifest& manifest_;
    std::map<ShardId, std::uint16_t> numbers_;  ///< of the training shards: places in the manifest
    std::vector<std::size_t> train_;            ///< these places, ascending
    KnownOwners now_owned_;
    KnownOwners before_owned_;  ///< by those that died lately, too
    /// Of our duty, by place in the manifest; nothing: where the trainer is.
    std::map<std::uint16_t, std::optional<data::EpochPlace>> starts_;
    std::map<PeerId, DutyProgress> said_;  ///< in the view before

    /// One that is gone. For a while nobody can know whether its heirs have heard of it.
    struct Gone {
        TrainingPeer peer;
        DutyProgress said;
        Instant since;
        bool recent = true;
    };

    std::vector<Gone> gone_;
};

}  // namespace starling::peer
