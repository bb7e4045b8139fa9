#include "peer/scenario/links.hpp"

#include <numeric>

namespace starling::scenario {
namespace {

/// Returns what a verb stops, if it stops anything.
std::optional<Barrier::What> stopped_by(Verb verb) {
    if (has_sides(verb)) return Barrier::What::Everything;
    if (verb == Verb::BlockUdp) return Barrier::What::Datagrams;
    if (verb == Verb::BlockTcp) return Barrier::What::Streams;
    return {};
}

void set_value(const Action& action, LinkFaults& faults) {
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

}  // namespace

bool is_link(Verb verb) {
    switch (verb) {
        case Verb::Heal:
        case Verb::Loss:
        case Verb::Delay:
        case Verb::Jitter:
        case Verb::Duplicate:
        case Verb::Rate:
        case Verb::Mtu:
            return true;
        default:
            return is_cut(verb);
    }
}

LinkFaults link_faults(const std::vector<Entry>& entries, std::size_t peers) {
    LinkFaults faults;
    std::vector<std::size_t> all(peers);
    std::iota(all.begin(), all.end(), std::size_t{1});
    for (const auto& entry : entries) {
        if (!entry.holds()) continue;
        const auto& action = entry.step.action;
        set_value(action, faults);
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
