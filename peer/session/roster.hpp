#pragma once

// Who trains with us, and what follows from it: our partners of averaging, and our duties, which
// are the shards to train on and to hold, and the share of what models are judged by. A pure function of the view,
// remembered to tell changes.
//
// Thread    network

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "data/ownership.hpp"
#include "data/shares.hpp"
#include "peer/terms/swarm_view.hpp"

namespace starling::peer {

class Roster {
public:
    /// Requires  `manifest` and `shares` outlive the roster; null: everybody holds all that is judged
    Roster(
        const PeerId& self,
        const data::Manifest& manifest,
        std::uint32_t replicas,
        const data::SplitShares* shares = nullptr
    )
        : self_(self),
          manifest_(manifest),
          replicas_(replicas),
          share_{shares, {}} {}

    /// Who came and who went.
    struct Change {
        std::vector<PeerId> up;
        std::vector<PeerId> down;
    };

    /// Replaces the partners by those that train in this view.
    Change update_partners(const SwarmView& view);

    /// Forgets a partner that membership has just declared gone.
    void remove_partner(const PeerId& partner) { std::erase(partners_, partner); }

    /// Computes our duties among those that train, with us and what our record says of our speed.
    /// `rotation` is that of the shares of what is judged; nothing: ours stays as it is, whoever comes and goes.
    /// Returns whether they may have changed.
    bool update_duties(
        const SwarmView& view,
        std::optional<std::int16_t> own_speed = {},
        std::optional<std::uint64_t> rotation = 0
    );

    [[nodiscard]] const std::vector<PeerId>& partners() const { return partners_; }

    [[nodiscard]] const data::Duties& duties() const { return duties_; }

    /// Returns the portions that are our share of what is judged, and the rotation that they belong to.
    [[nodiscard]] const std::vector<std::size_t>& share() const { return share_.portions; }

    [[nodiscard]] std::uint64_t rotation() const { return rotation_; }

    /// Returns those among whom duties were computed last, with us, and what they say of their speed.
    [[nodiscard]] const std::vector<TrainingPeer>& counted() const { return peers_; }

    /// Returns those that counted before the last change of duties, with us if we did.
    [[nodiscard]] const std::vector<TrainingPeer>& owners_before() const { return before_; }

private:
    PeerId self_;
    const data::Manifest& manifest_;
    std::uint32_t replicas_;
    std::vector<PeerId> partners_;  ///< in order of id
    std::vector<TrainingPeer> before_;
    std::vector<TrainingPeer> peers_;
    data::Duties duties_;
    data::JudgedShare share_;
    std::uint64_t rotation_ = 0;
    bool share_stays_ = true;  ///< it was not computed for these peers
};

}  // namespace starling::peer
