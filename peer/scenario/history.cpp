#include "peer/scenario/history.hpp"

#include <algorithm>

namespace starling::scenario {
namespace {

Sample sample_of(const PeerSeen& peer) {
    Sample sample;
    sample.state = "absent";
    if (!peer.started) return sample;
    sample.state = peer.state;
    sample.steps = peer.steps;
    sample.exchanges = peer.exchanges;
    sample.members = peer.members;
    sample.bytes = peer.bytes;
    sample.memory = peer.memory;
    sample.descriptors = peer.descriptors;
    sample.spread = peer.spread;
    sample.accuracy = peer.accuracy;
    sample.loss = peer.loss;
    if (peer.paused) sample.state = "paused";
    if (!peer.running) sample.state = peer.ended ? "done" : "dead";
    return sample;
}

template <class T>
void drop_every_second(std::vector<T>& list) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < list.size(); i += 2) {
        if (kept != i) list[kept] = std::move(list[i]);
        ++kept;
    }
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(kept), list.end());
}

}  // namespace

void History::observe(Instant now, const View& view) {
    if (!begin_) begin_ = next_ = now;
    if (now < next_ || view.peers.empty()) return;
    next_ = std::max(next_ + period_, now);
    times_.push_back(to_seconds(now - *begin_));
    while (peers_.size() < view.peers.size()) {
        peers_.emplace_back(times_.size() - 1, sample_of({}));
    }
    for (std::size_t i = 0; i < view.peers.size(); ++i) {
        peers_[i].push_back(sample_of(view.peers[i]));
    }
    const auto most = std::clamp<std::size_t>(kCellsMax / view.peers.size(), 16, kSamplesMax);
    if (times_.size() > most) thin();
}

void History::thin() {
    drop_every_second(times_);
    for (auto& series : peers_) drop_every_second(series);
    period_ *= 2;
}

}  // namespace starling::scenario
