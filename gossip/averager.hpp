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

#include <cstddef>
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
#include "gossip/outcome.hpp"
#include "gossip/parameter_vector.hpp"

namespace starling::gossip {

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
