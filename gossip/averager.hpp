#pragma once

// The front door of averaging: exchanges between two peers as a machine without I/O.
//
// An exchange: A picks a live partner B and sends Open; B answers Accept or Busy. Chunk by chunk,
// in a bounded window, A sends its offer, B answers, and each adds what the swarm's mixing rule
// says (mixing/). In the default, pairwise, A sends the encoding of its chunk x, B answers with the
// encoding of its own y, and both add a * (decoded other - decoded own) to whatever their chunk
// holds by then. So local steps in between are kept, and the sum over both peers is kept exactly. A
// closes with Commit. At most one exchange is in flight as initiator and one as responder; requests
// of a pair that cross collapse into one (the lower id initiates). Every exchange ends by Commit,
// Busy, abort or deadline.
//
// Use: call one handle_*, peer_* or command, then drain poll_transmit, poll_event, then arm one
// timer at poll_timeout. `now` never decreases.
//
// Source: AD-PSGD (Lian et al. 2018, Alg. 1) in the delta form; docs/protocol/averaging.md has the
// bytes.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "gossip/config.hpp"
#include "gossip/parameter_vector.hpp"

namespace starling::gossip {

/// How a frame stands to others for the same partner. Chunks and their replies may overtake any
/// other frame and be overtaken: they name their exchange and their chunk, what they acknowledge
/// only grows, and an exchange commits when it has all of them.
enum class Passage : std::uint8_t {
    InOrder,
    Offer,  ///< a chunk of the exchange that we initiate
    Reply,  ///< an answer in the exchange that the partner initiates
};

/// One frame for a partner. At most 256 KiB plus a small header.
struct Outgoing {
    PeerId to;
    Bytes frame;
    Passage passage = Passage::InOrder;
};

enum class Outcome : std::uint8_t {
    Committed,     ///< both sides applied every chunk
    Busy,          ///< the partner serves somebody else
    Collapsed,     ///< our request crossed the partner's; theirs goes on
    Refused,       ///< layout, encoding or coefficient do not fit
    TimedOut,      ///< the deadline passed
    Disconnected,  ///< the stream broke, or membership says that the partner is gone
    Violated,      ///< the partner broke the protocol
};

[[nodiscard]] std::string_view to_string(Outcome outcome);

/// What was wrong where an exchange ended as Violated or TimedOut by what the partner did.
enum class Misdeed : std::uint8_t {
    None,
    Malformed,  ///< a frame that does not parse, or of another version
    Size,       ///< a chunk that does not exist, or a payload that does not fit it
    Values,     ///< a NaN or an infinity
    Norm,       ///< further from our chunk than the clip allows
    Order,      ///< an answer to nothing, or a commit before the end
    Lie,        ///< acknowledges what we never sent, or answers coarser than we asked
    Flood,      ///< more than a window, without reading what we answer
    Stall,      ///< no progress until the deadline; slow is not hostile, so it is no strike
    Own,        ///< our own chunk holds a NaN or an infinity; no strike either
};

inline constexpr std::size_t kMisdeeds = 10;

/// Returns one word, as metrics name it.
[[nodiscard]] std::string_view to_string(Misdeed misdeed);

/// Whether it counts against the partner.
[[nodiscard]] bool is_strike(Misdeed misdeed);

struct ExchangeEvent {
    ExchangeId id;
    PeerId partner;
    bool initiator = false;
    Rule rule = Rule::Pairwise;
    Outcome outcome = Outcome::Committed;
    Misdeed misdeed = Misdeed::None;
    std::size_t chunks_applied = 0;
    /// Chunks that we applied and of which we do not know that the partner did. Only a responder
    /// can have any: it applies before it replies, and an initiator applies replies only.
    std::size_t chunks_half_applied = 0;
    /// ||x - y|| / ||x|| over all parameter chunks before mixing; valid for Committed.
    double relative_distance = 0.0;
    std::uint64_t bytes = 0;  ///< payload bytes of both directions
    Duration duration{};
};

struct AveragerCounters {
    std::uint64_t started = 0;  ///< as initiator
    std::uint64_t committed = 0;
    std::uint64_t busy = 0;
    std::uint64_t collapsed = 0;
    std::uint64_t aborted = 0;              ///< timed out, disconnected or violated, in either role
    std::uint64_t refused = 0;              ///< our requests that a partner refused
    std::uint64_t half_applied_chunks = 0;  ///< the ledger: sum of chunks_half_applied
    std::uint64_t malformed = 0;
    /// Frames of unknown or finished exchanges, and repeated ones: ignored.
    std::uint64_t stale = 0;
    std::uint64_t payload_bytes = 0;
    std::uint64_t refused_values = 0;  ///< payloads with a NaN or an infinity: never applied
    std::array<std::uint64_t, kMisdeeds> misdeeds{};  ///< by Misdeed
    std::uint64_t refusals = 0;                       ///< requests of partners that we refused
    std::uint64_t asked_again = 0;  ///< offers that we could not decode: they come again
    /// The ledger's other entry: times that we began to count in the sum after standing outside.
    std::uint64_t promotions = 0;
    std::uint64_t fallbacks = 0;  ///< rounds whose partner did not come, or could not
};

class Averager {
public:
    /// Requires  config validates; `parameters` outlives the averager; `rng` is another one in each
    ///           life of a peer: it draws the ids of exchanges, and partners ignore those that they
    ///           have answered lately
    Averager(
        const AveragerConfig& config,
        const PeerId& self,
        const LayoutHash& layout,
        ParameterVector& parameters,
        Rng rng,
        Instant now
    );
    ~Averager();
    Averager(Averager&&) noexcept;
    Averager& operator=(Averager&&) noexcept;
    Averager(const Averager&) = delete;
    Averager& operator=(const Averager&) = delete;

    // From outside. Bad frames end the exchange they belong to; they never throw.

    /// Errors    BadFormat, Truncated, Oversized, BadVersion: the driver should close the stream
    [[nodiscard]] Result<void> handle_frame(Instant now, const PeerId& from, ByteView frame);
    void handle_timeout(Instant now);
    /// The stream to `peer` broke: frames in flight are lost. Not a judgement about the peer.
    void handle_disconnect(Instant now, const PeerId& peer);
    /// One of several streams to `peer` broke, which carried frames of this passage: some may be
    /// lost, so the exchange that they belong to ends; the partner is told over the others.
    void handle_loss(Instant now, const PeerId& peer, Passage passage);
    void peer_up(Instant now, const PeerId& peer);
    void peer_down(Instant now, const PeerId& peer);

    // Commands.

    /// Opens an exchange with a random live partner that is not among `except`. False when one is
    /// in flight already or nobody is there; then nothing happened.
    bool begin_exchange(Instant now, std::span<const PeerId> except = {});

    /// The same in a round that all peers count alike: partners follow from the shared seed and the
    /// sorted live view, so that after log2(n) rounds of n = 2^k peers all are equal (one-peer
    /// exponential graph: Ying et al. 2021, in its symmetric form). One of a pair asks, the other
    /// waits for sync_wait; who misses its partner takes a random one.
    bool begin_round(Instant now, std::uint64_t round);

    /// A newcomer or a restarted peer stands outside the sum: its exchanges only bring it nearer to
    /// its partners, and it gives them nothing. It is promoted when it is no further from a partner
    /// than twice what the partner is from others, or after eight exchanges. Initially false.
    void set_ghost(bool ghost);

    /// Whether we answer Open from others with Accept. A peer whose parameters are not yet loaded
    /// answers Busy. Initially true.
    void set_accepting(bool accepting);

    /// What we wish the exchanges to come to use; a partner's finer wish holds. Initially the
    /// configuration's. One that settles wishes for f32, whose floor is none.
    /// Requires  the same elements as the configuration's encoding
    void set_encoding(Encoding encoding);

    /// While peers settle there is no training, and momentum would only keep them apart: noloco
    /// mixes pairwise then, and whatever the share, all of the parameters.
    void set_settling(bool settling);

    /// The parameters were replaced from outside: what a rule keeps beside them starts anew.
    void adopt_parameters();

    // To outside: drain after every call above.

    [[nodiscard]] std::optional<Outgoing> poll_transmit();
    [[nodiscard]] std::optional<ExchangeEvent> poll_event();
    [[nodiscard]] std::optional<Instant> poll_timeout() const;

    /// Takes back a frame's memory after it was sent, for reuse.
    void recycle(Bytes frame);

    // What we know.

    [[nodiscard]] bool initiating() const;
    [[nodiscard]] bool responding() const;

    /// Bytes of payloads that are held for exchanges: offered and not answered yet, or waiting for
    /// a lock. At most a window and a chunk of each, whatever partners do.
    [[nodiscard]] std::size_t bytes_held() const;

    /// True while the partner of this round is expected to ask.
    [[nodiscard]] bool expecting() const;
    [[nodiscard]] bool ghost() const;

    /// Weight of a part of a chunk in the sum that the rule keeps: 1 but for push-sum.
    [[nodiscard]] double weight(std::size_t chunk, std::uint32_t part = 0) const;

    /// Whether a lock still holds back what a broken exchange must undo.
    [[nodiscard]] bool returning() const;
    [[nodiscard]] std::size_t partner_count() const;
    /// Running mean of relative_distance over the last partners (decay 1/4 an exchange); 0 at
    /// first.
    [[nodiscard]] double spread() const;
    [[nodiscard]] const AveragerCounters& counters() const;

private:
    class Machine;
    std::unique_ptr<Machine> machine_;
};

}  // namespace starling::gossip
