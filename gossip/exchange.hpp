#pragma once

// The two roles of ONE exchange. Each handler returns how the exchange ended, or nothing while it
// goes on. When it has ended, the averager concludes it: event, counters, back-off, Abort.
//
// The ledger rule: a chunk that one side alone has applied cannot be avoided (two generals), so it
// is counted. The responder applies a chunk first and replies then; the initiator applies replies
// only. So whatever the initiator has applied, the responder has applied too, and one side alone
// has applied a chunk only when its reply never arrived. The responder counts those chunks: replied
// minus acknowledged. It may also count a chunk whose acknowledgement was lost, and it never misses
// one.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/messages.hpp"
#include "gossip/mixing/rule.hpp"
#include "gossip/outcome.hpp"
#include "gossip/workbench.hpp"

namespace starling::gossip {

/// What the roles share: identity and clocks.
struct ExchangeClock {
    ExchangeId id;
    PeerId partner;
    Instant started;
    Instant traded_since;             ///< when it was accepted
    Instant deadline;                 ///< of the whole exchange
    Instant stalled;                  ///< without progress until then, it times out
    std::optional<Instant> retry_at;  ///< when locked chunks are tried again

    [[nodiscard]] bool expired(Instant now) const { return now >= deadline || now >= stalled; }

    [[nodiscard]] Instant next_timeout() const;
};

/// States: Opening (Open sent, no answer), Trading (accepted), then it is destroyed.
class Initiator {
public:
    struct Request {
        ExchangeId id;
        PeerId partner;
        LayoutHash layout;
        Rule rule = Rule::Pairwise;
        Part part;
        std::uint64_t round = 0;  ///< as in Open
        Duration patience{};      ///< how long the answer may take
        double left = 1.0;        ///< we go at most this share of the difference
        std::int8_t weight = 0;   ///< as in Open, and the next
        std::uint8_t weight_max = 0;
    };

    /// Sends Open.
    Initiator(Workbench& bench, MixingRule& mixing, const Request& request, Instant now);

    [[nodiscard]] std::optional<Ending> on_accept(Instant now, const Accept& accept);
    [[nodiscard]] std::optional<Ending> on_reply(Instant now, const ChunkReply& reply);
    [[nodiscard]] std::optional<Ending> on_timeout(Instant now);

    [[nodiscard]] const ExchangeClock& clock() const { return clock_; }

    [[nodiscard]] const Tally& tally() const { return tally_; }

    [[nodiscard]] bool opening() const { return opening_; }

    [[nodiscard]] Rule rule() const { return rule_; }

    /// What the responder said of its distance to others.
    [[nodiscard]] double their_spread() const { return their_spread_; }

    /// Returns the share of the difference that we go, at most, or as agreed once we trade.
    [[nodiscard]] double share() const { return opening_ ? left_ : terms_.share(); }

    /// What our Open said of our weight.
    [[nodiscard]] std::int8_t weight() const { return weight_; }

    /// Replies applied: what Chunk and Abort acknowledge.
    [[nodiscard]] std::uint32_t acked() const;

    /// Bytes of payloads that were offered and not answered yet.
    [[nodiscard]] std::size_t bytes_in_flight() const { return in_flight_bytes_; }

    /// Takes back what is on its way, because the exchange has ended.
    void withdraw();

private:
    /// Sends chunks while the window has room, then looks whether all is done.
    std::optional<Ending> advance(Instant now);
    /// False when the window is full, or nothing unlocked is left to send.
    bool send_next(Instant now);
    /// Takes over what the responder says of coefficient and tilt. False when it must not say so.
    bool agree_on(const Accept& accept);
    [[nodiscard]] bool window_takes(std::size_t bytes) const;
    bool send_chunk(std::uint32_t index);
    /// Puts a chunk back that the partner could not decode.
    void send_again_later(std::size_t at);
    void note_applied(Flight& flight);
    void skip_empty();
    void remove_flight(std::size_t at);
    void retry_soon(Instant now);

    Workbench& bench_;
    MixingRule& mixing_;
    ExchangeClock clock_;
    Tally tally_;
    Terms terms_;
    Rule rule_;
    double left_;
    std::int8_t weight_;
    std::uint8_t weight_max_;
    double their_spread_ = 0.0;
    std::uint32_t chunks_ = 0;  ///< that have elements in this part
    std::size_t window_bytes_ = 0;
    bool opening_ = true;
    std::uint32_t cursor_ = 0;            ///< chunks below were sent, or are in skipped_
    std::vector<std::uint32_t> skipped_;  ///< locked when their turn came; bounded
    std::vector<Flight> in_flight_;
    std::size_t in_flight_bytes_ = 0;
    std::vector<bool> applied_;
    std::vector<bool> again_;  ///< the partner could not decode it: offered without gaps now
};

class Responder {
public:
    /// Sends `accept`, of which it fills in what belongs to the bench.
    ///
    /// Requires  a request that was checked; `accept` says coefficient, weight and tilt
    Responder(
        Workbench& bench,
        MixingRule& mixing,
        const Open& open,
        Accept accept,
        const PeerId& partner,
        Instant now
    );

    [[nodiscard]] std::optional<Ending> on_chunk(Instant now, const Chunk& chunk);
    [[nodiscard]] std::optional<Ending> on_commit();
    [[nodiscard]] std::optional<Ending> on_timeout(Instant now);
    /// The initiator gave up; its Abort says how many replies it has applied.
    void on_abort(const Abort& abort);

    [[nodiscard]] const ExchangeClock& clock() const { return clock_; }

    [[nodiscard]] const Tally& tally() const { return tally_; }

    [[nodiscard]] Rule rule() const { return rule_; }

    /// Returns the share of the difference that we go; none when we are pulled from.
    [[nodiscard]] double share() const { return rule_ == Rule::Pull ? 0.0 : terms_.share(); }

    /// Bytes of payloads that wait for a lock.
    [[nodiscard]] std::size_t bytes_parked() const { return parked_bytes_; }

    /// Chunks that we applied without knowing that the initiator did too. A responder that is
    /// pulled from applies none.
    [[nodiscard]] std::size_t half_applied() const {
        return rule_ == Rule::Pull ? 0 : unacknowledged();
    }

private:
    /// A payload whose chunk was locked when it came.
    struct Parked {
        std::uint32_t index = 0;
        Bytes payload;
    };

    [[nodiscard]] std::size_t unacknowledged() const { return tally_.chunks_applied - acked_; }

    /// Applies first and replies then: a reply without its application would move the mean.
    Answered serve(std::uint32_t index, ByteView payload);
    std::optional<Ending> park(Instant now, const Chunk& chunk);
    void ask_again(std::uint32_t index, Bytes frame);
    void send_reply(std::uint32_t index, Bytes frame);
    bool acknowledge(std::uint32_t acked);

    Workbench& bench_;
    MixingRule& mixing_;
    ExchangeClock clock_;
    Tally tally_;
    Terms terms_;
    Rule rule_;
    std::uint32_t chunks_ = 0;  ///< that have elements in this part
    std::uint32_t acked_ = 0;
    std::vector<bool> seen_;
    std::vector<bool> again_;  ///< asked for once more, in a form that always decodes
    std::vector<Parked> parked_;
    std::size_t parked_bytes_ = 0;
};

}  // namespace starling::gossip
