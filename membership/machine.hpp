#pragma once

// The inside of Swim: state, timers, and one function per message kind and per duty. Split over
// swim.cpp (front door), machine_receive.cpp (what others say), machine_claims.cpp (who is a member),
// machine_self.cpp (what they say about us), machine_duties.cpp (what time asks for),
// machine_timing.cpp (how long to wait for whom), machine_doubts.cpp (from a silent member to an accusation).
//
// Where we differ from the paper and from memberlist:
// - Incarnation = (boot epoch, counter): a restarted peer beats every rumour of its earlier life.
// - Every period is drawn anew with jitter; a fixed ticker keeps peers that started together in
//   phase for ever.
// - Any datagram to a member that we hold suspect or failed says so, and the member's refutation
//   goes back to us at once: nobody stays accused because a rumour got lost.
// - What a member says of itself is signed. A verdict of others counts only after the accused has
//   had its time to refute, and one sender can raise only so many suspicions.
// - A ping from a stranger is acked with "I do not know you", and the stranger introduces itself.
//   So peers that joined at the same time and missed each other's rumour meet within a probe round
//   instead of at the next push/pull.
// - Waits follow the round trips that each member has shown; a profile is their floor. A probe lasts as long
//   as its answer may take, so it may be open for several periods.
// - Lifeguard (Dadgar, Phillips, Currey, 2017): local health scales interval and timeout, helpers
//   nack, suspicions shorten with independent accusers.
// - Digests beside pings and acks show when a table stays different; memberlist leaves that to its
//   next push/pull. Peers with large tables then compare digests of slices and send only the slices
//   that differ.
// - Replies go only to where the datagram came from, relayed probes only to table addresses.

#include <array>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "membership/agreement.hpp"
#include "membership/awareness.hpp"
#include "membership/departed.hpp"
#include "membership/dissemination.hpp"
#include "membership/identity_conflict.hpp"
#include "membership/member_table.hpp"
#include "membership/messages.hpp"
#include "membership/probe.hpp"
#include "membership/reach.hpp"
#include "membership/records.hpp"
#include "membership/suspicion.hpp"
#include "membership/swim.hpp"
#include "membership/throttle.hpp"
#include "membership/unproven.hpp"
#include "membership/verify_budget.hpp"
#include "membership/workspace.hpp"

namespace starling::membership {

class Swim::Machine {
public:
    Machine(const SwimConfig& config, const Self& self, Rng rng, Instant now);

    void handle_datagram(Instant now, const Endpoint& from, ByteView bytes);
    void handle_timeout(Instant now);
    Result<StreamAnswer> handle_push_pull(
        Instant now, ByteView page, const std::optional<PeerId>& from
    );
    void handle_stream_pong(Instant now, const PeerId& peer);
    void handle_stream_lost(Instant now, const PeerId& peer);
    void handle_stream_refused(Instant now, const PeerId& peer);
    void handle_send_error(Instant now, const Endpoint& to);
    void leave(Instant now);
    void set_record(Instant now, ByteView record, bool decides);

    std::optional<Datagram> poll_transmit();
    std::optional<StreamRequest> poll_stream();
    std::optional<Event> poll_event();
    [[nodiscard]] std::optional<Instant> poll_timeout() const;

    void recycle(Bytes bytes);

    [[nodiscard]] std::vector<Bytes> pages_for(const StreamRequest& request) const;
    [[nodiscard]] std::vector<Bytes> pages_for(const StreamAnswer& answer) const;

    [[nodiscard]] const MemberTable& table() const { return table_; }

    [[nodiscard]] const Unproven& unproven() const { return unproven_; }

    [[nodiscard]] const Records& records() const { return records_; }

    [[nodiscard]] Duration record_interval() const;

    [[nodiscard]] const SwimCounters& counters() const { return counters_; }

    [[nodiscard]] const PeerId& self() const { return self_; }

    [[nodiscard]] Incarnation incarnation() const { return incarnation_; }

    [[nodiscard]] std::optional<Endpoint> rival() const { return conflict_.rival(); }

    [[nodiscard]] ByteView introduction() const { return introduction_; }

private:
    enum class Timer : std::size_t {
        Period,     ///< the probe period ends and the next begins
        AckWait,    ///< the direct probe had its time; helpers are asked
        Nack,       ///< a probe that we relay has had no answer yet
        Gossip,     ///< armed only while rumours and listeners exist
        PushPull,   ///< full exchange with a live member
        Rejoin,     ///< full exchange with a failed one; armed only while there are any
        Suspicion,  ///< mirrors the earliest deadline in suspicions_
        Tell,       ///< what we have decided waits to be told together with what follows it
        Sweep,      ///< forgets tombstones and the departed; armed only while there are any
    };
    static constexpr std::size_t kTimers = 9;
    /// How many of the unproven are asked whether they are there. What they name as their addresses
    /// may be anybody's.
    static constexpr double kAsksPerSecond = 8.0;
    static constexpr double kAsksAtOnce = 32.0;

    /// How a claim reached us. A failure in a page is hearsay of unknown age; what a newcomer
    /// learns from its first page is news to few others.
    enum class Source { Rumour, Page, FirstPage };

    /// What we want to say to the sender of the packet in hand.
    struct Conversation {
        ShortId from;
        std::optional<PeerId> sender;  ///< if it is in the table
        std::vector<Message> replies;
        bool introduce = false;  ///< it must hear our own claim: we refuted, or it knows us not
        bool probing = false;    ///< it holds a ping or an ack
        std::optional<SliceDigests> asked{};  ///< of its table, to be compared with ours
    };

    // machine_receive.cpp
    void on_packet(Instant now, const Endpoint& from, const Packet& packet);
    void on_news(Instant now, const Message& message, Source source, Conversation& talk);
    void on_probe(Instant now, const Endpoint& from, const Message& message, Conversation& talk);
    void on_ping(const Ping& ping, Conversation& talk);
    void on_stream_answer(const PeerId& peer);
    void answered(const ProbeCycle::Probe& probe);
    void note_reach(const PeerId& peer);
    void on_digest(Instant now, const TableDigest& digest, const Conversation& talk);
    void on_ping_request(
        Instant now, const Endpoint& from, const PingRequest& request, const Conversation& talk
    );
    void on_statement(Instant now, const Statement& statement, Source source, Conversation& talk);
    void on_accusation(Instant now, Statement accusation, Source source, Conversation& talk);
    void raise_suspicion(
        Instant now,
        const Member& known,
        const Statement& accusation,
        Source source,
        const Conversation& talk
    );
    void confirm(const Statement& suspicion);
    void on_forgotten(Instant now, const Forgotten& forgotten, Conversation& talk);
    void on_slices(const SliceDigests& digests, Conversation& talk);
    /// Who tells a record: its owner, beside a probe that is for us or in any other datagram, or somebody else.
    enum class Teller { Other, Owner, OwnerInProbe };
    void on_record(
        Instant now, const ProgressRecord& record, Source source, Teller teller = Teller::Other
    );
    void on_tell(Instant now);
    [[nodiscard]] bool tell_directly(const ProgressRecord& record);
    void answer_page(const Conversation& talk);
    void count_fault(const Fault& fault);

    [[nodiscard]] std::optional<PeerId> id_of(const ShortId& id) const;
    template <class Signed>
    [[nodiscard]] bool genuine(Instant now, const Signed& claim, Source source);
    bool apply(Instant now, const Statement& statement, Source source);
    void accuse(Instant now, const Statement& claim);
    void settle(Instant now, const MemberTable::Change& change, const PeerId& accuser);
    void announce(const MemberTable::Change& change);
    [[nodiscard]] SuspicionBounds present_bounds() const;
    void tighten();

    // machine_claims.cpp
    void on_claim(Instant now, const Statement& claim, Source source, const Conversation& talk);
    [[nodiscard]] bool is_backed(
        Instant now, const Statement& claim, Source source, const Conversation& talk
    ) const;
    void hold_apart(Instant now, const Statement& claim, Source source, const Conversation& talk);
    void prove(Instant now, const ShortId& id);
    void ask_unproven(Instant now);

    // machine_records.cpp
    void on_record_of_self(Instant now, const ProgressRecord& record, Source source);
    [[nodiscard]] bool is_known(const PeerId& owner, Source source) const;
    void sign(ProgressRecord& record);
    [[nodiscard]] double ride_rate() const;
    [[nodiscard]] bool is_news_to_others(
        Instant now, const ProgressRecord& record, Source source, Teller teller
    ) const;
    void add_own_record(const Member& to, std::vector<Message>& out, std::size_t room);

    // machine_self.cpp
    void on_accusation_of_self(Instant now, const Statement& accusation, Conversation& talk);
    [[nodiscard]] Incarnation next_incarnation() const;
    [[nodiscard]] bool holds_back(Instant now, MemberState accused);
    void come_back(Instant now);
    void on_claim_of_self(Instant now, const Statement& claim, Source source, Conversation& talk);
    void on_packet_of_self(Instant now, const Packet& packet);
    void on_stranger(const Stranger& stranger, Conversation& talk);
    void on_forgotten_self(
        Instant now, const Member& known, const Incarnation& forgotten, Conversation& talk
    );
    void rise_to(Instant now, const Incarnation& incarnation);
    void restate(Instant now, const Incarnation& incarnation);

    // machine_timing.cpp
    [[nodiscard]] Duration ack_wait(const ShortId& id) const;
    [[nodiscard]] Duration probe_time(const ShortId& id, Duration direct) const;
    ProbeCycle::Probe& begin_probe(Instant now, const ShortId& target);
    [[nodiscard]] SuspicionBounds bounds_of(std::size_t answering) const;
    void arm_ack_wait();
    void on_ack_wait(Instant now);
    void on_ack(const Ack& ack, const Conversation& talk);
    void on_late_ack(const Ack& ack, const PeerId& sender);
    void note_round_trip(const ProbeCycle::Probe& probe);

    // machine_doubts.cpp
    void probe_doubtful(Instant now, std::size_t most);
    void suspect(Instant now, const ProbeCycle::Probe& missed);
    [[nodiscard]] int misses_to_tell() const;
    void blame(const ProbeCycle::Probe& missed);
    [[nodiscard]] bool deaf() const;

    // machine_duties.cpp; sending in machine_send.cpp
    void fire(Timer timer, Instant now);
    void on_period(Instant now);
    void on_nack(Instant now);
    void on_gossip(Instant now);
    void announce();
    void on_push_pull(Instant now);
    void refresh(const Member& member);
    void on_rejoin(Instant now);
    void on_suspicion(Instant now);
    void on_sweep(Instant now);
    void begin_probes(Instant now);
    void on_lost_heard(Instant now, const PeerId& peer, const Endpoint& from);
    void compare_tables();
    std::optional<ShortId> take_urgent();
    void wake_up(Instant now);
    void ask_helpers(const ProbeCycle::Probe& probe);
    void ask_over_stream(const PeerId& peer);
    void request_stream(const StreamRequest& request);
    void request_exchange(const PeerId& peer, const Endpoint& to);
    std::vector<Member> sample(std::size_t count, bool (*wanted)(MemberState));

    /// Sends `messages` to `to`, adding what we hold against `peer` and as many rumours as fit.
    void send(const Endpoint& to, std::optional<ShortId> peer, std::span<const Message> messages);
    [[nodiscard]] bool hears_us(const Member& member) const;
    [[nodiscard]] std::optional<Message> accusation_of(const ShortId& peer) const;

    /// What we repeat of a member that is suspect or failed.
    [[nodiscard]] Statement accusation_of(const Member& member) const;
    [[nodiscard]] static Statement accusation(
        const Member& member, MemberState state, const PeerId& accuser
    );

    /// Signs who and where we are.
    void make_own_claim();

    void arm(Timer timer, Instant at) { timers_[static_cast<std::size_t>(timer)] = at; }

    void disarm(Timer timer) { arm(timer, Instant::max()); }

    [[nodiscard]] bool armed(Timer timer) const {
        return timers_[static_cast<std::size_t>(timer)] != Instant::max();
    }

    /// Arms the timers whose need depends on what the last call changed.
    void arm_on_demand(Instant now);

    Duration jittered(Duration period, double spread = 0.1);
    class Pager;
    void add_slices(Pager& pager, Slices slices) const;
    [[nodiscard]] SliceDigests slice_digests(bool answer, Slices refresh = 0) const;
    [[nodiscard]] Duration scaled_for_size(Duration period) const;
    [[nodiscard]] std::size_t listeners() const;
    void advance(Instant now);

    SwimConfig config_;
    PeerId self_;
    std::shared_ptr<const Notary> notary_;
    std::shared_ptr<Workspace> workspace_;
    Endpoint address_;
    Incarnation incarnation_;
    std::uint64_t mark_;  ///< the lowest counter of this process
    BootSalt salt_;
    Statement own_claim_;
    Bytes introduction_;  ///< our claim, as it stands in the readable part of a datagram
    Instant life_since_;  ///< when we first claimed our present epoch
    bool left_ = false;
    std::optional<Instant> signed_at_;  ///< our last signed record
    Instant decided_at_;                ///< the last from which others decide
    double ride_bytes_ = 0.0;           ///< that our record may take in probes now
    Instant ride_at_;
    std::unordered_map<std::uint64_t, Instant> told_;  ///< who has it; looked up, never walked
    std::optional<ShortId> first_sender_;              ///< whose pages a newcomer reads first
    VerifyBudget verify_budget_;
    RateLimit ask_budget_{kAsksPerSecond, kAsksAtOnce};  ///< of the unproven
    std::uint32_t forged_in_page_ = 0;
    int calm_push_pulls_ = 0;         ///< full exchanges left out in a row
    std::optional<PeerId> compared_;  ///< with whom we compare tables just now
    Instant now_;
    std::vector<PeerId> urgent_;           ///< suspected by others; to be probed besides
    std::vector<PeerId> lost_streams_;     ///< their streams ended; to be probed besides
    std::map<PeerId, int> doubts_;         ///< probes that a member has missed in a row
    std::vector<ShortId> silent_helpers_;  ///< to be probed besides
    bool looked_ = false;                  ///< a lost stream has had its probe in this period
    Instant heard_at_;                     ///< the last datagram or page
    std::uint32_t rejoins_ = 0;            ///< lost members that were tried
    SuspicionBounds bounds_;               ///< of the last suspicion
    Instant last_blame_;                   ///< when an accusation last made us doubt ourselves
    bool was_deaf_ = false;                ///< since we were last taken for failed
    int falls_ = 0;                        ///< how often we were taken for failed lately
    Instant fell_at_;                      ///< the last time
    std::optional<Instant> quiet_until_;   ///< until then we do not contradict that

    Rng timing_rng_;
    Rng target_rng_;
    Rng probe_id_rng_;

    MemberTable table_;
    ProbeOrder order_;
    ProbeCycle cycle_;
    RoundTrip round_trip_;
    PathLoss path_loss_;
    Awareness awareness_;
    Agreement agreement_;
    Reach reach_;
    Relays relays_;
    Throttle throttle_;
    Suspicions suspicions_;
    Dissemination rumours_;
    Departed departed_;
    Lost lost_;
    Unproven unproven_;
    Records records_;
    IdentityConflict conflict_;

    std::array<Instant, kTimers> timers_{};
    std::vector<Datagram> transmits_;  ///< emptied in full before it grows again
    std::size_t transmitted_ = 0;
    std::deque<StreamRequest> streams_;
    std::deque<Event> events_;
    SwimCounters counters_;
};

}  // namespace starling::membership
