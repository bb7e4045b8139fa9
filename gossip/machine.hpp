#pragma once

// The inside of Averager: the two exchanges in flight, the partners, and one function per message
// kind. Split over averager.cpp (front door), machine_receive.cpp (what frames do),
// machine_duties.cpp (what time, partners and commands do) and machine_endings.cpp (how an exchange
// is concluded).

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "gossip/averager.hpp"
#include "gossip/exchange.hpp"
#include "gossip/messages.hpp"
#include "gossip/mixing/rule.hpp"
#include "gossip/partner_choice.hpp"
#include "gossip/rounds.hpp"
#include "gossip/weight_claims.hpp"
#include "gossip/workbench.hpp"

namespace starling::gossip {

/// With less than this share of a difference left to go, an exchange is not worth its bytes.
inline constexpr double kShareMin = 0.125;

/// The exchanges that we answered last, so that a repeated Open does not open one again. Streams
/// are ordered and authenticated, so a repetition comes soon or never, and a few ids suffice.
class RecentIds {
public:
    void add(ExchangeId id) {
        ids_[next_] = id;
        next_ = (next_ + 1) % ids_.size();
    }

    [[nodiscard]] bool contains(ExchangeId id) const {
        return std::find(ids_.begin(), ids_.end(), id) != ids_.end();
    }

private:
    std::array<ExchangeId, 64> ids_{};
    std::size_t next_ = 0;
};

class Averager::Machine {
public:
    Machine(
        const AveragerConfig& config,
        const PeerId& self,
        const LayoutHash& layout,
        ParameterVector& parameters,
        Rng rng
    );

    Result<void> handle_frame(Instant now, const PeerId& from, ByteView frame);
    void handle_timeout(Instant now);
    void handle_disconnect(Instant now, const PeerId& peer);
    void handle_loss(Instant now, const PeerId& peer, Passage passage);

    void peer_up(const PeerId& peer) { partners_.add(peer); }

    void peer_down(Instant now, const PeerId& peer);

    bool begin_exchange(Instant now, std::span<const PeerId> except = {});
    bool begin_round(Instant now, std::uint64_t round);
    void set_ghost(bool wanted);

    void count_rounds(Instant now, bool wanted);
    void set_accepting(bool wanted);

    void set_encoding(Encoding encoding);
    void set_settling(bool wanted);
    void set_weight(std::optional<std::int8_t> log2);

    void adopt_parameters() { mixing_->adopt(); }

    std::optional<Outgoing> poll_transmit();
    std::optional<ExchangeEvent> poll_event();
    [[nodiscard]] std::optional<Instant> poll_timeout() const;

    void recycle(Bytes frame) { bench_.pool.give(std::move(frame)); }

    [[nodiscard]] const std::optional<Initiator>& initiator() const { return initiator_; }

    [[nodiscard]] const std::optional<Responder>& responder() const { return responder_; }

    [[nodiscard]] const MixingRule& mixing() const { return *mixing_; }

    [[nodiscard]] const Rounds& rounds() const { return rounds_; }

    [[nodiscard]] bool ghost() const { return ghost_; }

    [[nodiscard]] double spread() const { return bench_.spread; }

    /// Returns the share of a difference that we may still go, beside what the exchanges in flight
    /// take.
    [[nodiscard]] double share_left() const;

    [[nodiscard]] const AveragerCounters& counters() const { return bench_.counters; }

private:
    /// Whether we still may talk to the partner when an exchange ends.
    enum class Stream : std::uint8_t { Alive, Gone };

    // machine_receive.cpp
    void on(Instant now, const PeerId& from, const Open& open);
    void on(Instant now, const PeerId& from, const Accept& accept);
    void on(Instant now, const PeerId& from, const Busy& busy);
    void on(Instant now, const PeerId& from, const Refuse& refuse);
    void on(Instant now, const PeerId& from, const Chunk& chunk);
    void on(Instant now, const PeerId& from, const ChunkReply& reply);
    void on(Instant now, const PeerId& from, const Commit& commit);
    void on(Instant now, const PeerId& from, const Abort& abort);
    void on(Instant now, const PeerId& from, const Unknown& unknown);

    /// Returns why a request of a partner cannot be served, or nothing when it can.
    [[nodiscard]] std::optional<RefuseReason> misfit(const Open& open) const;
    [[nodiscard]] bool knows(const Open& open) const;
    [[nodiscard]] MixingRule& rule_of(Rule rule);
    [[nodiscard]] bool engaged_with(const PeerId& partner) const;
    [[nodiscard]] bool initiating(const PeerId& partner, ExchangeId id) const;
    [[nodiscard]] bool responding(const PeerId& partner, ExchangeId id) const;

    /// Returns how far both sides go, or nothing when we have too little left to be of use.
    [[nodiscard]] std::optional<Accept> terms_for(
        Instant now, const PeerId& from, const Open& open
    );
    /// Returns the tilt of a pair as Accept says it, and counts when the bounds cut it.
    [[nodiscard]] std::int8_t tilt_for(Instant now, const PeerId& from, const Open& open);

    /// Answers a request with Accept and serves it.
    void serve(Instant now, const PeerId& from, const Open& open);
    /// Lets a request wait until we are in its round, or until we answer nobody else.
    void park(Instant now, const PeerId& from, const Open& open);
    void decline(const PeerId& from, const Open& open);

    // machine_duties.cpp
    /// Asks a partner, for the exchange of our round or for one that belongs to none.
    void open_with(Instant now, const PeerId& partner, bool of_round);
    /// Asks the partner of our round, or waits until another request of ours has ended.
    void ask_in_round(Instant now, const PeerId& partner);
    /// The partner of this round did not come: takes a random one.
    void fall_back(Instant now);
    /// Answers the requests that have waited for this moment.
    void serve_parked(Instant now);
    /// Tells all whose requests wait that nothing comes of them.
    void decline_parked();
    void follow_initiator(Instant now, const ExchangeEvent& event, bool of_round);
    void note_pull(const ExchangeEvent& event);
    /// Whether exchanges of this rule are of weighted pairs, as far as we are concerned.
    [[nodiscard]] bool weighs(Rule rule) const;
    /// Returns what an Open promises: the share that an exchange with this partner takes if it is as
    /// heavy as when we met it last, and at least what an even pair takes.
    [[nodiscard]] double promise(Rule rule, const PeerId& partner) const;

    // machine_endings.cpp
    /// Ends what is in flight with a partner. One misdeed is one strike, though it ends two
    /// exchanges.
    void end_all_with(Instant now, const PeerId& peer, Ending ending, Stream stream);
    void conclude_initiator(Instant now, const Ending& ending, Stream stream);
    void conclude_responder(Instant now, const Ending& ending, Stream stream);
    /// Lets the partner rest as the end of the exchange asks for.
    void note_partner(Instant now, const ExchangeEvent& event);
    void count(const ExchangeEvent& event);
    void measure(Instant now, const ExchangeClock& clock, const Tally& tally, Outcome outcome);

    PeerId self_;
    LayoutHash layout_;
    Rng rng_;
    Workbench bench_;
    std::unique_ptr<MixingRule> mixing_;    ///< the swarm's
    std::unique_ptr<MixingRule> pairwise_;  ///< beside noloco
    std::unique_ptr<MixingRule> pull_;
    PartnerChoice partners_;
    std::optional<Initiator> initiator_;
    std::optional<Responder> responder_;
    Rounds rounds_;
    RecentIds recent_;
    bool accepting_ = true;
    bool ghost_ = false;
    std::size_t ghost_exchanges_ = 0;
    std::uint32_t next_part_;
    std::optional<std::int8_t> weight_;  ///< log2 of ours
    WeightClaims claims_;
    bool of_round_ = false;            ///< what we initiate is this round's, so a miss falls back
    std::optional<Instant> retry_at_;  ///< when withdrawn chunks are tried again
    std::vector<PeerId> except_;       ///< kept for its memory
    std::deque<ExchangeEvent> events_;
};

}  // namespace starling::gossip
