#pragma once

// How a newcomer gets the present parameters. It asks trained peers what they offer, then fetches
// chunk by chunk from several donors at once, which go on training. A donor that vanishes costs
// only the chunks that it had not yet answered. Chunks of different donors differ by the swarm's
// spread, and the newcomer's first exchanges average this away.
//
// StateInfoRequest: empty            StateInfo: 32 B layout hash, u64 schedule step, u8 ready
// StateRequest: u32 chunk            StateChunk: u32 chunk, u8 status (0 here, 1 busy), raw f32
//
// Thread    network

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "compute/arena/parameter_store.hpp"
#include "peer/streams/frame.hpp"

namespace starling::peer {

/// The donor's side. It answers "busy" for a chunk that the trainer has locked; the newcomer asks
/// anew.
class StateDonor {
public:
    StateDonor(compute::ParameterStore& store, const LayoutHash& layout, SendFrame send)
        : store_(store),
          layout_(layout),
          send_(std::move(send)) {}

    void handle_info_request(const PeerId& from, bool ready, std::uint64_t schedule_step);
    /// Answers a request. With `overloaded`, enough is queued for this peer already, so the answer
    /// is "busy".
    void handle_request(const PeerId& from, ByteView payload, bool overloaded);

private:
    compute::ParameterStore& store_;
    LayoutHash layout_;
    SendFrame send_;
};

/// The newcomer's side. A function that has something to send calls `send` before it returns.
class StateFetch {
public:
    static constexpr std::size_t kDonorsMax = 4;
    static constexpr std::size_t kPerDonor = 4;
    static constexpr Duration kChunkTimeout = std::chrono::seconds(5);
    static constexpr Duration kAskEvery = std::chrono::milliseconds(250);
    static constexpr Duration kBusyPause = std::chrono::milliseconds(2);

    StateFetch(compute::ParameterStore& store, const LayoutHash& layout, SendFrame send);

    /// Replaces the peers that may be donors.
    void set_candidates(Instant now, std::vector<PeerId> candidates);

    void handle_info(Instant now, const PeerId& from, ByteView payload);
    void handle_chunk(Instant now, const PeerId& from, ByteView payload);
    void handle_broken(Instant now, const PeerId& partner);
    void handle_timeout(Instant now);

    /// Returns when to call handle_timeout, or nothing when the fetch is complete.
    [[nodiscard]] std::optional<Instant> timeout() const;

    [[nodiscard]] bool complete() const { return done_ == have_.size(); }

    [[nodiscard]] std::size_t chunks_done() const { return done_; }

    /// Returns the furthest place in the schedule that a donor named.
    [[nodiscard]] std::uint64_t schedule_step() const { return schedule_step_; }

    [[nodiscard]] std::size_t donors() const { return donors_.size(); }

private:
    struct Request {
        PeerId donor;
        Instant deadline;
    };

    void ask_around(Instant now);
    void request_more(Instant now);
    void lose_donor(Instant now, const PeerId& donor);

    compute::ParameterStore& store_;
    LayoutHash layout_;
    SendFrame send_;
    std::vector<PeerId> candidates_;
    std::set<PeerId> asked_;
    std::map<PeerId, std::size_t> donors_;  ///< with the number of their requests in flight
    std::map<std::uint32_t, Request> requests_;
    std::vector<bool> have_;
    std::size_t done_ = 0;
    std::uint64_t schedule_step_ = 0;
    Instant ask_at_;
    Instant pause_until_;
};

}  // namespace starling::peer
