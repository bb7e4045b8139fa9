#pragma once

// The front door of membership: SWIM as a machine without I/O. It has no socket, clock, thread,
// file or global; time and randomness come in as arguments, so the Asio driver
// (peer/membership_driver) and the virtual network (peer/virtual) run the very same code.
//
// Use: call one handle_* or command, then drain poll_transmit, poll_stream and poll_event until all
// are empty, then arm one timer at poll_timeout. `now` never decreases. Every call returns at once;
// the machine calls nothing back but its notary, whose signatures cost a hundred times what the
// rest of a message does.
//
// Source: Das, Gupta, Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group
// Membership Protocol", DSN 2002; and memberlist's practice where the paper is silent.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/duration_histogram.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "membership/config.hpp"
#include "membership/member.hpp"
#include "membership/member_table.hpp"
#include "membership/notary.hpp"
#include "membership/workspace.hpp"

namespace starling::membership {

/// Things that must never be silent; all are exposed as metrics.
struct SwimCounters {
    std::uint64_t datagrams_sent = 0;
    std::uint64_t datagrams_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t malformed = 0;   ///< did not parse; never answered
    std::uint64_t foreign = 0;     ///< another swarm's tag
    std::uint64_t reflected = 0;   ///< named us as their sender; dropped
    std::uint64_t forged = 0;      ///< statements whose signature does not fit; dropped
    std::uint64_t throttled = 0;   ///< accusations above what one sender may make; dropped
    std::uint64_t postponed = 0;   ///< signatures above what we check in a second; dropped
    std::uint64_t held_apart = 0;  ///< peers of which only claims were known when they came
    std::uint64_t unvouched = 0;   ///< records of peers that nobody has had as a member; dropped
    std::uint64_t probes = 0;
    std::uint64_t probes_failed = 0;     ///< neither direct nor indirect answer
    std::uint64_t probes_by_stream = 0;  ///< answered by no datagram, but over a stream
    std::uint64_t refutations = 0;       ///< we had to contradict news of our own failure
    std::uint64_t conflicts = 0;         ///< claims of another process that runs with our identity
    DurationHistogram round_trips;       ///< of probes that were answered directly
};

/// Thread    network
class Swim {
public:
    struct Self {
        PeerId id;
        Endpoint address;         ///< what others should dial
        std::uint64_t epoch = 1;  ///< boot epoch: larger than at any earlier start of this identity
        std::shared_ptr<const Notary> notary;    ///< signs for `id`
        std::shared_ptr<ClaimPool> pool;         ///< shared by many machines, or null
        std::shared_ptr<Workspace> workspace{};  ///< likewise
        bool founder = false;  ///< nobody can have known us before this process began
        /// A number that this process has drawn, or 0. Its claims have counters from there on, so that
        /// two lives which share an epoch differ, whatever their addresses.
        std::uint64_t mark = 0;
        /// Others may know earlier lives. Until one has told us, we claim counter 0, below the mark of
        /// a life with the same epoch, which its holder then shows to us.
        bool lived = false;
        BootSalt salt{};  ///< random, drawn by this process
    };

    /// Requires  a config that validates; a notary that signs for `self.id`; `now` is the first of
    ///           the non-decreasing instants
    Swim(const SwimConfig& config, const Self& self, Rng rng, Instant now);
    ~Swim();
    Swim(Swim&&) noexcept;
    Swim& operator=(Swim&&) noexcept;
    Swim(const Swim&) = delete;
    Swim& operator=(const Swim&) = delete;

    // From outside. Bad bytes are counted and dropped; they never throw and are never answered.

    void handle_datagram(Instant now, const Endpoint& from, ByteView bytes);
    void handle_timeout(Instant now);

    /// Merges one page of another member's table. Returns what to answer if its sender wants an
    /// answer; the frame around the page tells, not the page.
    ///
    /// `from` is who has signed the stream; the page has to be in its name.
    ///
    /// Errors    Truncated, BadFormat, Oversized, BadVersion, SwarmMismatch, BadValue; the page was
    ///           dropped whole
    [[nodiscard]] Result<StreamAnswer> handle_push_pull(
        Instant now, ByteView page, const std::optional<PeerId>& from = std::nullopt
    );

    /// A member answered a Ping over a stream. The driver of a member that is asked answers by
    /// itself, without its machine.
    void handle_stream_pong(Instant now, const PeerId& peer);

    /// A stream with a member ended without a goodbye. That is a reason to probe the member at once and
    /// no verdict: streams also end when a peer restarts or a link changes.
    void handle_stream_lost(Instant now, const PeerId& peer);

    /// Nobody listens where a member should: its machine refused a stream, or reset it. If the member
    /// owes us the ack of a probe, it is suspected at once.
    void handle_stream_refused(Instant now, const PeerId& peer);

    /// Counts a refused local send as a missed probe, as if the datagram had vanished.
    void handle_send_error(Instant now, const Endpoint& to);

    // Commands.

    /// Announces our departure and returns at once. The driver keeps polling and sending for a few
    /// gossip ticks afterwards, in which the news spreads.
    void leave(Instant now);

    /// Replaces our progress record. Of two records of one owner the larger (epoch, version) wins; records
    /// never touch incarnations. With `decides`, others decide something from what is new in it: it is signed
    /// and spreads at once. Else it is signed every max(1 s, n x 50 ms) at the most and rides on our probes, so
    /// that each member hears of it within record_interval().
    ///
    /// Requires  at most kRecordMax bytes
    void set_record(Instant now, ByteView record, bool decides = true);

    // To outside: drain after every call above.

    [[nodiscard]] std::optional<Datagram> poll_transmit();
    [[nodiscard]] std::optional<StreamRequest> poll_stream();
    [[nodiscard]] std::optional<Event> poll_event();
    [[nodiscard]] std::optional<Instant> poll_timeout() const;

    /// Takes back the memory of a datagram that was sent, for later ones.
    void recycle(Bytes bytes);

    // What we know. References hold until the next call that takes `now`.

    /// Our whole table (ourselves included) and all records as pages of at most kPageMax.
    [[nodiscard]] std::vector<Bytes> push_pull_pages() const;

    /// What to send for a request that is no Ping, as pages of at most kPageMax.
    [[nodiscard]] std::vector<Bytes> pages_for(const StreamRequest& request) const;

    /// What to send as an answer, as pages of at most kPageMax.
    [[nodiscard]] std::vector<Bytes> pages_for(const StreamAnswer& answer) const;

    /// All members that are not forgotten, ourselves included, in the order in which we met them.
    [[nodiscard]] MemberList members() const;

    [[nodiscard]] std::optional<Member> find(const PeerId& id) const;

    /// What a member last said of itself, or a peer that is held apart until it is proven; null for
    /// anybody else. Its signature is verified.
    [[nodiscard]] const Statement* claim_of(const ShortId& id) const;

    /// The newest record of a peer, empty when none is known: for people only. Of another peer it may be
    /// anybody's word. Records outlive their peer's tombstone (bounded: the oldest of gone peers are dropped
    /// above 4,096).
    [[nodiscard]] ByteView record(const PeerId& id) const;

    /// The newest record of a peer that the peer has signed, empty when none is known.
    [[nodiscard]] ByteView signed_record(const PeerId& id) const;

    /// Returns when that record came here; its owner made it up to record_interval() before.
    [[nodiscard]] std::optional<Instant> record_heard(const PeerId& id) const;

    /// Returns how long it usually takes at most, until we hear again of a member that has nothing to say from
    /// which others decide.
    [[nodiscard]] Duration record_interval() const;

    /// All peers that ever published a record we still keep.
    [[nodiscard]] std::vector<PeerId> recorded_peers() const;

    /// Peers that are held apart, because only claims of them are known (unproven.hpp).
    [[nodiscard]] std::size_t unproven_count() const;

    [[nodiscard]] std::size_t alive_count() const;  ///< alive or suspect, ourselves included
    [[nodiscard]] const SwimCounters& counters() const;
    [[nodiscard]] const PeerId& self() const;

    /// Ours. Its epoch rises above Self::epoch when the swarm knows a later life of ours, or when
    /// another process runs with our identity (identity_conflict.hpp). The driver stores the epoch
    /// before it sends anything under it.
    [[nodiscard]] Incarnation incarnation() const;

    /// Our own claim as it stands in the readable part of a datagram without a receiver.
    [[nodiscard]] ByteView introduction() const;

    /// Where another process with our identity can be dialled, once it has shown itself.
    [[nodiscard]] std::optional<Endpoint> rival() const;

private:
    class Machine;
    std::unique_ptr<Machine> machine_;
};

}  // namespace starling::membership
