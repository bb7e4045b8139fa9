#pragma once

// How a newcomer gets the present parameters, as two machines without I/O. It asks trained peers
// what they offer, then fetches chunk by chunk from several donors at once, which go on training.
// A donor that vanishes costs only the chunks that it had not yet answered. Chunks of different
// donors differ by the swarm's spread, and the newcomer's first exchanges average this away.
//
// StateInfoRequest: empty            StateInfo: 32 B layout hash, u64 schedule step, u8 ready
// StateRequest: u32 chunk            StateChunk: u32 chunk, u8 status (0 here, 1 busy), raw f32
//
// Thread    network

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "peer/transfer/outbox.hpp"
#include "peer/transfer/parameter_chunks.hpp"

namespace starling::peer {

/// The donor's side. It answers "busy" for a chunk that the trainer has locked; the newcomer asks
/// anew.
class StateDonor {
public:
    /// Requires  `parameters` and `out` outlive the donor
    StateDonor(ParameterChunks& parameters, const LayoutHash& layout, Outbox& out)
        : parameters_(parameters),
          layout_(layout),
          out_(out) {}

    void handle_info_request(const PeerId& from, bool ready, std::uint64_t schedule_step);
    /// Answers a request. With `overloaded`, enough is queued for this peer already, so the answer
    /// is "busy".
    void handle_request(const PeerId& from, ByteView payload, bool overloaded);

private:
    ParameterChunks& parameters_;
    LayoutHash layout_;
    Outbox& out_;
};

/// The newcomer's side. It knows each peer that may give parameters as a candidate and keeps up to
/// four of them as donors. A candidate that does not answer makes room for another one, and is
/// asked again later: so one peer that answers is enough, whoever else is silent.
class StateFetch {
public:
    static constexpr std::size_t kDonorsMax = 4;
    static constexpr std::size_t kPerDonor = 4;
    /// A candidate may take so long to say what it offers.
    static constexpr Duration kAnswerTimeout = std::chrono::seconds(1);
    /// A candidate that is not ready, or whose stream broke, is asked again after so long.
    static constexpr Duration kAskAgain = std::chrono::milliseconds(250);
    /// A silent candidate is asked again after so long; twice as long after each further silence.
    static constexpr Duration kSilenceMin = std::chrono::milliseconds(500);
    static constexpr Duration kSilenceMax = std::chrono::seconds(8);
    /// A donor may take so long for a chunk; twice as long after each chunk that came too late,
    /// because then its link is slow and asking others as well makes it no faster.
    static constexpr Duration kChunkTimeout = std::chrono::seconds(5);
    static constexpr Duration kChunkTimeoutMax = std::chrono::seconds(80);
    /// A donor that is busy is not asked for so long; twice as long each time in a row.
    static constexpr Duration kBusyPause = std::chrono::milliseconds(2);
    static constexpr Duration kBusyPauseMax = std::chrono::milliseconds(256);

    /// `salt` decides whom to ask first; newcomers with different salts ask different peers.
    /// Requires  `parameters` and `out` outlive the fetch
    StateFetch(
        ParameterChunks& parameters, const LayoutHash& layout, std::uint64_t salt, Outbox& out
    );

    /// Replaces the peers that may be donors. It may be called as often as one likes: it changes
    /// nothing for candidates that stay.
    void set_candidates(Instant now, std::span<const PeerId> candidates);

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

    [[nodiscard]] std::size_t donors() const { return count(Stage::Donor); }

private:
    enum class Stage : std::uint8_t { Waiting, Asked, Donor };

    struct Candidate {
        Stage stage = Stage::Waiting;
        bool listed = true;  ///< set_candidates() named it the last time
        Instant due;         ///< Waiting: when to ask; Asked: until when to wait; Donor: when to
                             ///< go on after "busy"
        Duration silence = kSilenceMin;
        Duration patience = kChunkTimeout;
        Duration pause = kBusyPause;
        std::size_t in_flight = 0;
    };

    struct Request {
        PeerId donor;
        Instant deadline;
    };

    using Candidates = std::map<PeerId, Candidate>;

    [[nodiscard]] std::size_t count(Stage stage) const;
    [[nodiscard]] Candidates::iterator next_to_ask(Instant now);
    [[nodiscard]] Candidates::iterator idlest_donor(Instant now);
    void ask_around(Instant now);
    void request_more(Instant now);
    void take(Instant now, std::uint32_t chunk, const PeerId& from, ByteView bytes);
    void lose_donor(Instant now, const PeerId& donor);

    ParameterChunks& parameters_;
    LayoutHash layout_;
    std::uint64_t salt_;
    Outbox& out_;
    Candidates candidates_;
    std::map<std::uint32_t, Request> requests_;
    /// Requests that were given up because they took too long. Their answers are still welcome.
    std::set<std::pair<std::uint32_t, PeerId>> late_;
    std::vector<bool> have_;
    std::size_t done_ = 0;
    std::uint64_t schedule_step_ = 0;
};

}  // namespace starling::peer
