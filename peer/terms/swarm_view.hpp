#pragma once

// What we know of the swarm at present: the membership table joined with all progress records.
//
// Thread    network

#include <cstdint>
#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "membership/swim.hpp"
#include "peer/terms/record.hpp"

namespace starling::peer {

struct SeenPeer {
    PeerId id;
    Endpoint address;
    membership::MemberState state = membership::MemberState::Alive;
    std::optional<Record> record;  ///< the newest that it has signed: what others decide from
    std::optional<Record> shown;   ///< newer than that and unsigned: for people to look at
    bool udp_out = true;           ///< as in membership::Member
    bool udp_in = true;
    std::optional<Instant> heard{};  ///< when its newest record came

    [[nodiscard]] bool live() const {
        return state == membership::MemberState::Alive || state == membership::MemberState::Suspect;
    }

    /// Returns the newest that is known, for people.
    [[nodiscard]] const std::optional<Record>& newest() const { return shown ? shown : record; }

    /// Returns whether the peer takes part in training: it trains, settles or has finished, but is
    /// still here.
    [[nodiscard]] bool trains() const;
};

/// One that takes part in training, and what it says of its speed.
struct TrainingPeer {
    PeerId id;
    std::optional<std::int16_t> speed;  ///< as in Record

    bool operator==(const TrainingPeer&) const = default;
};

/// One that the table has forgotten, and the samples that it has signed.
struct GonePeer {
    PeerId id;
    std::uint64_t samples = 0;
};

struct SwarmView {
    std::vector<SeenPeer> others;    ///< everybody but us, in order of id
    std::vector<GonePeer> gone;      ///< in order of id
    std::uint64_t gone_samples = 0;  ///< of all of them
    std::uint64_t gone_own = 0;      ///< likewise, private samples that they had to train on
    std::size_t live = 1;            ///< live peers, with us
    Duration records_every{};        ///< counters in records are up to so old, usually

    /// Both return the other peers that are live and take part in training.
    [[nodiscard]] std::vector<Record> training_records() const;
    [[nodiscard]] std::vector<TrainingPeer> training_peers() const;
};

/// Of the samples in a private swarm. Those of a dead peer are gone with it.
struct SampleShare {
    std::uint64_t lasting = 0;  ///< of peers that take part still, or did until their end
    std::uint64_t all = 0;      ///< of all peers that were ever seen

    /// Returns the share that takes part; nothing where nobody has samples.
    [[nodiscard]] std::optional<double> share() const;
};

/// Counts the samples of all, of which `own` are ours. A peer that is gone took part to the last if it had finished.
[[nodiscard]] SampleShare sample_share(const SwarmView& view, std::uint64_t own);

/// Returns the present view. Reads the whole table and decodes every record.
[[nodiscard]] SwarmView look(const membership::Swim& swim);

}  // namespace starling::peer
