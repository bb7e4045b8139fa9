#pragma once

// What a peer makes of claims that its own key has signed and that this process has not made. They
// come from an earlier life whose state was lost or restored from a backup, or from another process
// that runs now with a copy of our state directory.
//
// A claim that is newer than ours must be answered with a still newer one in either case, or nobody
// believes us any more. An earlier life says nothing to that. A process that runs raises its own claim
// again, so both know of each other after a few rounds. Neither knows the other's age. But each knows
// how long it had been here when they met, and contests for the longer the older it was then. So the
// younger yields first. Two of like age, as when a partition heals, are told apart by their addresses.
//
// Only signed claims count, so nobody without our key can end us.
//
// Thread: none of its own; used by Swim only.

#include <optional>

#include "base/endpoint.hpp"
#include "base/instant.hpp"

namespace starling::membership {

class IdentityConflict {
public:
    enum class Verdict {
        EarlierLife,  ///< go above it; nobody has contradicted us so far
        Contest,      ///< another process runs; go above it and stay
        Yield,        ///< another process runs, and it is the one that stays
    };

    /// The first member of the swarm has told us something: from here on we arrive.
    void note_contact(Instant now);

    /// Whether what others know of our earlier lives may still be on its way to us.
    [[nodiscard]] bool arriving(Instant now) const;

    /// We announce `ours` and have heard a newer claim of our own key for `theirs`.
    [[nodiscard]] Verdict on_claim(Instant now, const Endpoint& ours, const Endpoint& theirs);

    /// Where the other process can be dialled, as far as its claims say; nothing before one shows.
    [[nodiscard]] const std::optional<Endpoint>& rival() const { return rival_; }

private:
    std::optional<Instant> contact_;
    std::optional<Endpoint> rival_;
    Instant last_{};  ///< when the last such claim came
    int claims_ = 0;  ///< since the last long silence
    Duration age_{};  ///< how long we had been here when the first of these claims came
};

}  // namespace starling::membership
