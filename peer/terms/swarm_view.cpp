#include "peer/terms/swarm_view.hpp"

#include <algorithm>

namespace starling::peer {

bool SeenPeer::trains() const {
    return live() && record && record->state != PeerState::Joining &&
           record->state != PeerState::Watching;
}

std::vector<Record> SwarmView::training_records() const {
    std::vector<Record> records;
    for (const auto& peer : others) {
        if (peer.trains()) records.push_back(*peer.record);
    }
    return records;
}

std::vector<TrainingPeer> SwarmView::training_peers() const {
    std::vector<TrainingPeer> peers;
    for (const auto& peer : others) {
        if (peer.trains()) peers.push_back({peer.id, peer.record->speed});
    }
    return peers;
}

std::optional<double> SampleShare::share() const {
    if (all == 0) return std::nullopt;
    return static_cast<double>(lasting) / static_cast<double>(all);
}

SampleShare sample_share(const SwarmView& view, std::uint64_t own) {
    SampleShare found{own, own + view.gone_own};
    for (const auto& peer : view.others) {
        const auto& said = peer.newest();
        if (!said) continue;
        const bool finished = said->state == PeerState::Lingering || said->state == PeerState::Done;
        found.all += said->own_train;
        if (peer.live() || finished) found.lasting += said->own_train;
    }
    return found;
}

SwarmView look(const membership::Swim& swim) {
    SwarmView view;
    view.records_every = swim.record_interval();
    for (const auto& member : swim.members()) {
        if (member.id == swim.self()) continue;
        SeenPeer seen{
            member.id,
            member.address,
            member.state,
            std::nullopt,
            std::nullopt,
            member.udp_out,
            member.udp_in};
        const auto said = swim.signed_record(member.id);
        if (!said.empty()) {
            // A record that we cannot read belongs to another release: that peer is a member but
            // does not train.
            if (auto record = decode_record(said)) seen.record = *record;
        }
        if (const auto bytes = swim.record(member.id); bytes.data() != said.data()) {
            if (auto record = decode_record(bytes)) seen.shown = *record;
        }
        seen.heard = swim.record_heard(member.id);
        if (seen.live()) ++view.live;
        view.others.push_back(std::move(seen));
    }
    // The table is in order of arrival, but people and programs compare views by id.
    std::sort(view.others.begin(), view.others.end(), [](const SeenPeer& a, const SeenPeer& b) {
        return a.id < b.id;
    });
    for (const auto& id : swim.recorded_peers()) {
        if (id == swim.self() || swim.find(id).has_value()) continue;
        const auto record = decode_record(swim.signed_record(id));
        if (!record) continue;
        view.gone.push_back({id, record->samples});
        view.gone_samples += record->samples;
        view.gone_own += record->own_train;
    }
    return view;
}

}  // namespace starling::peer
