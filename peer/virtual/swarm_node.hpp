#pragma once

// What Swarm keeps for one node. Only Swarm's own source files include this.

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "peer/members/seed_schedule.hpp"
#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

struct Swarm::Node {
    PeerId id;
    NodeState state = NodeState::Absent;
    std::uint32_t address = 0;  ///< its place in Swarm::owners_
    std::uint64_t epoch = 0;
    std::vector<NodeIndex> seeds;
    /// The members that the last life knew. A daemon keeps their addresses in its state directory.
    std::vector<NodeIndex> remembered;
    std::size_t next_seed = 0;
    std::optional<peer::SeedSchedule> schedule;  ///< of a whole peer, instead of next_seed
    Rng rng{0};
    std::optional<membership::Swim> swim;
    std::unique_ptr<IntegerVector> vector;  // stands before the averager, which refers to it
    std::unique_ptr<FloatVector> floats;    // used instead if the swarm averages floats
    std::optional<gossip::Averager> averager;
    MemoryDisk disk;
    std::unique_ptr<SessionNode> session;                  // refers to the averager and the floats
    peer::PeerState published = peer::PeerState::Joining;  ///< in the record of this life
    /// The streams over which it tries to get the descriptor, by the seeds' addresses.
    std::map<Endpoint, std::uint64_t> fetch_streams;
    /// When each timer fires, by its kind's place among the kinds of timers.
    std::array<std::optional<Instant>, 5> armed;
    bool pumping_later = false;
    std::int64_t clock_ppm = 0;  ///< how much faster than true time its clock runs
    Duration clock_offset{};     ///< how far its machine's clock was moved
    double spoils = 0;           ///< share of its frames of averaging that are spoiled
    bool false_donor = false;    ///< it gives newcomers numbers of its own making
    bool false_judge = false;  ///< in the end it says that the model does much better than it does
    Duration cost{};           ///< virtual time that each event takes
    Instant busy_until;
    std::vector<Event> waiting;  ///< events that wait while the node is paused
    std::size_t waiting_datagrams = 0;
    /// The streams of averaging with each partner. The node sends on the first one and takes frames
    /// from any.
    std::map<NodeIndex, std::vector<std::uint64_t>> links;
    /// Frames that wait for the handshake of a stream that this node has opened.
    std::map<std::uint64_t, std::vector<Bytes>> unopened;
    /// Push/pulls and pings that this node has started, by stream.
    std::map<std::uint64_t, membership::StreamRequest> asked;
    std::map<NodeIndex, std::deque<Bytes>> history;  ///< the last frames of each partner, to replay
    std::unordered_map<NodeIndex, std::uint64_t> met;  ///< lives that have introduced themselves
    std::optional<Instant> published_at;       ///< the last record of a node without a session
    std::uint64_t records = 0;                 ///< published in this life
    std::optional<gossip::Interval> interval;  ///< of a node without a session
    std::uint64_t steps = 0;                   ///< likewise
    std::uint64_t round = 0;
    std::optional<Instant> waits_since;  ///< since when training waits for the end of an exchange
    Duration waited{};

    /// Returns whether the descriptor is being fetched over this stream.
    [[nodiscard]] bool fetches_over(const Delivery& delivery) const {
        return session && session->fetching() &&
               std::any_of(fetch_streams.begin(), fetch_streams.end(), [&](const auto& entry) {
                   return entry.second == delivery.stream;
               });
    }
};

}  // namespace starling::peer_virtual
