#include "peer/virtual/campaign_faults.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

namespace starling::peer_virtual {

namespace {

constexpr Duration kFlap = std::chrono::seconds(20);
constexpr Duration kSlowEvent = std::chrono::milliseconds(5);

}  // namespace

CampaignFaults::CampaignFaults(Swarm& swarm, const FaultRates& rates, Rng rng)
    : swarm_(swarm),
      rates_(rates),
      rng_(rng) {
    if (rates_.clock_error == 0) return;
    for (NodeIndex node = 0; node < swarm_.size(); ++node) {
        const double share = 2.0 * rng_.uniform() - 1.0;
        swarm_.set_clock_error(node, static_cast<std::int32_t>(share * rates_.clock_error));
    }
}

void CampaignFaults::begin() {
    pause_ = draw(rates_.pauses);
    leave_ = draw(rates_.leaves);
    one_way_ = draw(rates_.one_ways);
    clog_ = draw(rates_.clogs);
    auto nodes = swarm_.running();
    rng_.shuffle(std::span(nodes));
    const auto slow = static_cast<std::size_t>(rates_.slow * static_cast<double>(nodes.size()));
    for (std::size_t i = 0; i < slow; ++i) swarm_.set_cost(nodes[i], kSlowEvent);
    for (std::size_t i = 0; i < std::min(rates_.flapping, nodes.size()); ++i) {
        flap(nodes[nodes.size() - 1 - i]);
    }
}

Instant CampaignFaults::next() const {
    if (over_) return Instant::max();
    auto next = std::min({pause_, leave_, one_way_, clog_});
    if (!endings_.empty()) next = std::min(next, endings_.begin()->first);
    return next;
}

bool CampaignFaults::carry_out() {
    if (over_) return false;
    const auto now = swarm_.now();
    while (!endings_.empty() && endings_.begin()->first <= now) {
        const auto ending = std::move(endings_.extract(endings_.begin()).mapped());
        ending();
    }
    const auto due = [&](Instant& at, double rate) {
        if (at > now) return false;
        at = draw(rate);
        return true;
    };
    if (due(pause_, rates_.pauses)) pause_one();
    if (due(leave_, rates_.leaves)) leave_one();
    if (due(one_way_, rates_.one_ways)) cut_one();
    if (due(clog_, rates_.clogs)) clog_one();
    return std::exchange(links_changed_, false);
}

void CampaignFaults::end() {
    if (std::exchange(over_, true)) return;
    swarm_.network().heal();
    for (NodeIndex node = 0; node < swarm_.size(); ++node) swarm_.set_cost(node, Duration::zero());
    // Sleepers wake and those that have left return; cuts are healed.
    for (auto& [at, ending] : std::exchange(endings_, {})) ending();
    swarm_.network().heal();
}

Instant CampaignFaults::draw(double per_minute) {
    if (per_minute <= 0.0) return Instant::max();
    return swarm_.now() + from_seconds(rng_.exponential(60.0 / per_minute));
}

std::optional<NodeIndex> CampaignFaults::pick() {
    const auto running = swarm_.running();
    if (running.size() <= 2) return std::nullopt;
    return rng_.pick(std::span<const NodeIndex>(running));
}

void CampaignFaults::later(Duration after, std::function<void()> what) {
    endings_.emplace(swarm_.now() + after, std::move(what));
}

void CampaignFaults::pause_one() {
    const auto node = pick();
    if (!node) return;
    swarm_.pause(*node);
    later(rates_.lasts, [this, node = *node] {
        if (swarm_.state(node) == NodeState::Paused) swarm_.resume(node);
    });
}

void CampaignFaults::leave_one() {
    const auto node = pick();
    if (!node) return;
    swarm_.leave(*node);
    later(std::max<Duration>(rates_.lasts, std::chrono::seconds(5)), [this, node = *node] {
        if (swarm_.exists(node)) return;
        auto seeds = swarm_.running();
        rng_.shuffle(std::span(seeds));
        seeds.resize(std::min<std::size_t>(seeds.size(), 3));
        if (!seeds.empty()) swarm_.start(node, std::move(seeds));
    });
}

void CampaignFaults::cut_one() {
    const auto node = pick();
    if (!node) return;
    for (NodeIndex other = 0; other < swarm_.size(); ++other) {
        if (other != *node) swarm_.network().cut_one_way(*node, other);
    }
    links_changed_ = true;
    later(rates_.lasts, [this, node = *node] {
        for (NodeIndex other = 0; other < swarm_.size(); ++other) {
            swarm_.network().mend_one_way(node, other);
        }
        links_changed_ = true;
    });
}

void CampaignFaults::clog_one() {
    const auto node = pick();
    if (!node) return;
    const auto until = swarm_.now() + rates_.lasts;
    for (NodeIndex other = 0; other < swarm_.size(); ++other) {
        if (other != *node) swarm_.network().clog(*node, other, until);
    }
    links_changed_ = true;
    later(rates_.lasts, [this] { links_changed_ = true; });
}

void CampaignFaults::cut_off(NodeIndex node, bool cut) {
    auto& network = swarm_.network();
    for (NodeIndex other = 0; other < swarm_.size(); ++other) {
        if (other == node) continue;
        if (cut) {
            network.cut_one_way(node, other);
            network.cut_one_way(other, node);
        } else {
            network.mend_one_way(node, other);
            network.mend_one_way(other, node);
        }
    }
    links_changed_ = true;
}

void CampaignFaults::flap(NodeIndex node) {
    cut_off(node, true);
    later(kFlap, [this, node] {
        cut_off(node, false);
        if (!over_) later(kFlap, [this, node] { flap(node); });
    });
}

}  // namespace starling::peer_virtual
