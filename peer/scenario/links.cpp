#include "peer/scenario/links.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace starling::scenario {
namespace {

/// Returns what a verb stops, if it stops anything.
std::optional<Barrier::What> stopped_by(Verb verb) {
    if (has_sides(verb)) return Barrier::What::Everything;
    if (verb == Verb::BlockUdp) return Barrier::What::Datagrams;
    if (verb == Verb::BlockTcp) return Barrier::What::Streams;
    return {};
}

void set_value(const Action& action, LinkValues& faults) {
    switch (action.verb) {
        case Verb::Loss:
            faults.loss = action.value;
            break;
        case Verb::Delay:
            faults.delay = action.time;
            break;
        case Verb::Jitter:
            faults.jitter = action.time;
            break;
        case Verb::Duplicate:
            faults.duplicate = action.value;
            break;
        case Verb::Reorder:
            faults.reorder = action.value;
            break;
        case Verb::Rate:
            faults.rate = action.value;
            break;
        case Verb::Mtu:
            faults.mtu = static_cast<std::size_t>(action.value);
            break;
        default:
            break;
    }
}

using Peers = std::vector<std::size_t>;

/// The first of them is the bridge: it belongs to both halves of the others.
void add_bridge(const Peers& peers, std::vector<Barrier>& barriers) {
    if (peers.size() < 3) return;
    const auto middle = peers.begin() + 1 + static_cast<std::ptrdiff_t>((peers.size() - 1) / 2);
    const Peers one(peers.begin() + 1, middle);
    const Peers two(middle, peers.end());
    barriers.push_back({one, two, Barrier::What::Everything});
    barriers.push_back({two, one, Barrier::What::Everything});
}

/// In a ring each reaches those around it, just so many that they are a majority with itself. (Jepsen
/// calls this nemesis "majorities ring".)
void add_majorities(const Peers& peers, std::vector<Barrier>& barriers) {
    const std::size_t n = peers.size();
    const std::size_t reach = (n / 2 + 1) / 2;
    for (std::size_t i = 0; i < n; ++i) {
        Barrier barrier{{peers[i]}, {}, Barrier::What::Everything};
        for (std::size_t j = 0; j < n; ++j) {
            const std::size_t way = i > j ? i - j : j - i;
            if (std::min(way, n - way) > reach) barrier.to.push_back(peers[j]);
        }
        if (!barrier.to.empty()) barriers.push_back(std::move(barrier));
    }
}

}  // namespace

void LinkValues::take(const LinkValues& other) {
    const auto one = [](auto& value, const auto& given) {
        if (given) value = given;
    };
    one(loss, other.loss);
    one(delay, other.delay);
    one(jitter, other.jitter);
    one(duplicate, other.duplicate);
    one(reorder, other.reorder);
    one(rate, other.rate);
    one(mtu, other.mtu);
}

LinkValues values_of(const Links& links) {
    LinkValues values;
    values.loss = links.loss;
    values.delay = links.delay;
    values.jitter = links.jitter;
    values.rate = links.rate;
    return values;
}

LinkPart part_of(const OwnLinks& own) {
    return {own.from, own.to, values_of(own.links)};
}

bool is_link(Verb verb) {
    return verb == Verb::Heal || sets_links(verb) || is_cut(verb);
}

LinkFaults link_faults(const std::vector<Entry>& entries, std::size_t peers) {
    LinkFaults faults;
    std::vector<std::size_t> all(peers);
    std::iota(all.begin(), all.end(), std::size_t{1});
    for (const auto& entry : entries) {
        if (!entry.holds()) continue;
        const auto& action = entry.step.action;
        if (sets_links(action.verb) && !action.who.peers.empty()) {
            auto& part = faults.parts.emplace_back();
            part.from = action.who.peers;
            part.to = action.other.peers;
            set_value(action, part.values);
        } else {
            set_value(action, faults);
        }
        if (action.verb == Verb::Bridge) add_bridge(action.who.peers, faults.barriers);
        if (action.verb == Verb::MajoritiesRing) {
            add_majorities(action.who.peers, faults.barriers);
        }
        const auto what = stopped_by(action.verb);
        if (!what) continue;
        const auto& others = action.other.peers.empty() ? all : action.other.peers;
        faults.barriers.push_back({action.who.peers, others, *what});
        if (action.verb != Verb::OneWay) {
            faults.barriers.push_back({others, action.who.peers, *what});
        }
    }
    return faults;
}

std::vector<std::size_t> hurt_by(const Action& action, const std::vector<std::size_t>& added) {
    // Both sides of a cut call each other failed, and slow links hurt all.
    if (is_link(action.verb)) return {};
    return action.verb == Verb::Add ? added : action.who.peers;
}

}  // namespace starling::scenario
