#pragma once

// What we know of the swarm right now: the membership table joined with everybody's progress
// records.
//
// Thread    network

#include <cstdint>
#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "data/ownership.hpp"
#include "membership/swim.hpp"
#include "peer/terms/record.hpp"

namespace starling::peer {

struct SeenPeer {
    PeerId id;
    Endpoint address;
    membership::MemberState state = membership::MemberState::Alive;
    std::optional<Record> record;
    bool udp_out = true;  ///< as in membership::Member
    bool udp_in = true;

    [[nodiscard]] bool live() const {
        return state == membership::MemberState::Alive || state == membership::MemberState::Suspect;
    }

    /// Takes part in training: trains, settles or has finished, but is still here.
    [[nodiscard]] bool trains() const;
};

struct SwarmView {
    std::vector<SeenPeer> others;    ///< everybody but us, in order of id
    std::uint64_t gone_samples = 0;  ///< of peers that the table has forgotten or never had
    std::size_t live = 1;            ///< with us

    /// Live peers that train.
    [[nodiscard]] std::vector<Record> training_records() const;
    [[nodiscard]] std::vector<data::WeightedPeer> training_peers() const;

    /// Everybody's samples: the counters only grow, and those of the dead stay.
    [[nodiscard]] std::uint64_t samples(std::uint64_t own) const;
};

[[nodiscard]] SwarmView look(const membership::Swim& swim);

}  // namespace starling::peer
