#pragma once

// What the faults that hold at one moment make of the links between the peers. Both drivers ask for it
// after each order and set their network accordingly, so faults may overlap and end in any order.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/instant.hpp"
#include "peer/scenario/plan.hpp"

namespace starling::scenario {

/// What some peers send does not reach some others. Peers count from 1; who is on both sides still
/// reaches itself.
struct Barrier {
    enum class What : std::uint8_t { Everything, Datagrams, Streams };

    std::vector<std::size_t> from;
    std::vector<std::size_t> to;
    What what = What::Everything;

    bool operator==(const Barrier&) const = default;
};

/// Nothing means that the network's own value stays.
struct LinkValues {
    std::optional<double> loss;
    std::optional<Duration> delay;
    std::optional<Duration> jitter;
    std::optional<double> duplicate;
    std::optional<double> reorder;   ///< share of packets that others overtake
    std::optional<double> rate;      ///< bytes a second that a peer can send
    std::optional<std::size_t> mtu;  ///< bytes of a packet; larger ones are lost

    /// Takes the values that the other one has.
    void take(const LinkValues& other);

    bool operator==(const LinkValues&) const = default;
};

/// Links of some peers, whatever all links have.
struct LinkPart {
    std::vector<std::size_t> from;  ///< peers, counted from 1
    std::vector<std::size_t> to;    ///< empty: everybody, in both directions
    LinkValues values;              ///< a rate is what each of `from` can send, and what it can get

    bool operator==(const LinkPart&) const = default;
};

/// What all links have, what some have instead, and what does not pass.
struct LinkFaults : LinkValues {
    std::vector<LinkPart> parts;  ///< the later one wins
    std::vector<Barrier> barriers;

    bool operator==(const LinkFaults&) const = default;
};

/// Returns what a scenario says of some links.
[[nodiscard]] LinkPart part_of(const OwnLinks& own);
[[nodiscard]] LinkValues values_of(const Links& links);

/// Returns whether a verb changes links and no peer.
[[nodiscard]] bool is_link(Verb verb);

/// Returns what the entries that hold make of the links of `peers` peers. The later one wins where two
/// set the same value.
[[nodiscard]] LinkFaults link_faults(const std::vector<Entry>& entries, std::size_t peers);

/// Returns the peers that an action hurts, for the judge; empty: all. `added` are those that it added.
[[nodiscard]] std::vector<std::size_t> hurt_by(
    const Action& action, const std::vector<std::size_t>& added
);

}  // namespace starling::scenario
