#pragma once

// The machine behind averager.hpp's front door. machine_receive.cpp has what frames do,
// machine_duties.cpp time, partners and commands, machine_endings.cpp how an exchange is settled.

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "gossip/averager.hpp"
#include "gossip/exchange.hpp"
#include "gossip/messages.hpp"
#include "gossip/mixing/rule.hpp"
#include "gossip/partner_choice.hpp"
#include "gossip/workbench.hpp"

namespace starling::gossip {

/// The exchanges that we answered last, so that a repeated Open does not open them again. Streams
/// are ordered and authenticated, so the memory needs no more than a moment's depth.
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
    void peer_down(Instant now, const PeerId& peer);
    bool begin_exchange(Instant now, std::span<const PeerId> except = {});
    bool begin_round(Instant now, std::uint64_t round);
    void set_ghost(bool wanted);
    void set_settling(bool wanted);
    [[nodiscard]] std::optional<Instant> next_timeout() const;

    Workbench bench;
    std::unique_ptr<MixingRule> mixing;    ///< the swarm's
    std::unique_ptr<MixingRule> pairwise;  ///< beside noloco
    std::unique_ptr<MixingRule> pull;
    PartnerChoice partners;
    std::deque<ExchangeEvent> events;
    std::optional<Initiator> initiator;
    std::optional<Responder> responder;
    bool accepting = true;
    bool ghost = false;

    /// The partner of this round, who is to ask us, and until when we wait.
    struct Expected {
        PeerId partner;
        Instant until;
    };

    std::optional<Expected> expected;

private:
    /// Whether we still may talk to the partner when an exchange ends.
    enum class Stream : std::uint8_t { Alive, Gone };

    void on(Instant now, const PeerId& from, const Open& open);
    void on(Instant now, const PeerId& from, const Accept& accept);
    void on(Instant now, const PeerId& from, const Busy& busy);
    void on(Instant now, const PeerId& from, const Refuse& refuse);
    void on(Instant now, const PeerId& from, const Chunk& chunk);
    void on(Instant now, const PeerId& from, const ChunkReply& reply);
    void on(Instant now, const PeerId& from, const Commit& commit);
    void on(Instant now, const PeerId& from, const Abort& abort);
    void on(Instant now, const PeerId& from, const Unknown& unknown);

    [[nodiscard]] std::optional<RefuseReason> misfit(const Open& open) const;
    [[nodiscard]] bool knows(const Open& open) const;
    [[nodiscard]] MixingRule& rule_of(Rule rule);
    void open_with(Instant now, const PeerId& partner);
    void fall_back(Instant now);
    void note_pull(const ExchangeEvent& event);
    [[nodiscard]] bool engaged_with(const PeerId& partner) const;
    [[nodiscard]] bool initiating(const PeerId& partner, ExchangeId id) const;
    [[nodiscard]] bool responding(const PeerId& partner, ExchangeId id) const;

    /// Ends what is in flight with a partner. One misdeed is one strike, though it ends two exchanges.
    void end_all_with(Instant now, const PeerId& peer, Ending ending, Stream stream);
    void settle_initiator(Instant now, const Ending& ending, Stream stream);
    void settle_responder(Instant now, const Ending& ending, Stream stream);
    /// Lets the partner rest as the end of the exchange asks for.
    void note_partner(Instant now, const ExchangeEvent& event);
    void count(const ExchangeEvent& event);
    void measure(Instant now, const ExchangeClock& clock, const Tally& tally, Outcome outcome);

    PeerId self_;
    LayoutHash layout_;
    Rng rng_;
    std::vector<PeerId> except_;  ///< kept for its memory
    RecentIds recent_;
    std::uint32_t next_part_;
    std::size_t ghost_exchanges_ = 0;
    bool scheduled_ = false;           ///< what we initiate is this round's, so a miss falls back
    std::optional<Instant> retry_at_;  ///< when withdrawn chunks are tried again
};

}  // namespace starling::gossip
