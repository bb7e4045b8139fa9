#pragma once

// What Swarm keeps for one node; shared by its two source files and nobody else.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

struct Swarm::Node {
    PeerId id;
    NodeState state = NodeState::Absent;
    std::uint64_t epoch = 0;
    std::vector<NodeIndex> seeds;
    /// Whom the last life knew: what the daemon keeps in its state directory.
    std::vector<NodeIndex> remembered;
    std::size_t next_seed = 0;
    Rng luck{0};
    std::optional<membership::Swim> swim;
    std::unique_ptr<IntegerVector> vector;  // before the averager that refers to it
    std::unique_ptr<FloatVector> floats;    // instead, when the swarm averages floats
    std::optional<gossip::Averager> averager;
    std::optional<Instant> swim_armed;
    std::optional<Instant> averager_armed;
    bool pumping_later = false;
    std::int64_t clock_ppm = 0;  ///< how much faster than true time its clock runs
    Duration cost{};             ///< virtual time that each event takes
    Instant busy_until;
    std::vector<Event> waiting;  // while paused
    std::size_t waiting_datagrams = 0;
    /// Streams of averaging to each partner, the preferred one first; frames arrive on any.
    std::map<NodeIndex, std::vector<std::uint64_t>> links;
    /// Frames that wait for the handshake of the stream which this node opened.
    std::map<std::uint64_t, std::vector<Bytes>> unopened;
    /// Push/pulls and pings that this node started.
    std::map<std::uint64_t, membership::StreamRequest> asked;
    std::map<NodeIndex, std::deque<Bytes>> history;  // of frames, for replays
    std::uint64_t round = 0;
    std::optional<Instant> waits_since;  ///< training stands still until the exchange is over
    Duration waited{};
};

}  // namespace starling::peer_virtual
