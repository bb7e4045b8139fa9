#pragma once

// The front door of averaging: exchanges between two peers as a machine without I/O. It has no
// socket, clock, thread, file or global; time and randomness come in as arguments.
//
// An exchange: A picks a live partner B and sends Open; B answers Accept or Busy. Chunk by chunk,
// in a bounded window, A sends its offer, B answers, and each adds what the swarm's mixing rule
// says (mixing/). In the default rule, pairwise, A sends the encoding of its chunk x, B answers
// with the encoding of its own y, and both add a * (decoded other - decoded own) to whatever their
// chunk holds by then. So local steps in between are kept, and the sum over both peers is kept
// exactly. A closes with Commit. At most one exchange is in flight as initiator and one as
// responder; requests of a pair that cross collapse into one (the lower id initiates). Every
// exchange ends by Commit, Busy, Refuse, Abort or deadline.
//
// Use: call one handle_*, peer_* or command, then drain poll_transmit and poll_event until both are
// empty, then arm one timer at poll_timeout. `now` never decreases. Every call returns at once; the
// machine calls nothing back but `parameters`.
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

/// Thread    network
class Averager {
public:
    /// Requires  a config that validates; `parameters` outlives the averager; another `rng` in each
    ///           life of a peer, because it draws the ids of exchanges, and partners ignore the ids
    ///           that they have answered lately
    Averager(
        const AveragerConfig& config,
        const PeerId& self,
        const LayoutHash& layout,
        ParameterVector& parameters,
        Rng rng
    );
    ~Averager();
    Averager(Averager&&) noexcept;
    Averager& operator=(Averager&&) noexcept;
    Averager(const Averager&) = delete;
    Averager& operator=(const Averager&) = delete;

    // From outside. Bad frames are counted and end the exchange that they belong to; they never
    // throw.

    /// Takes one frame. It reads and adds to chunks whose locks are free.
    ///
    /// Errors    BadFormat, Truncated, Oversized, BadVersion: the driver should close the stream
    [[nodiscard]] Result<void> handle_frame(Instant now, const PeerId& from, ByteView frame);
    void handle_timeout(Instant now);

    /// The stream to `peer` broke, and the frames in flight are lost. That is no judgement about
    /// the peer.
    void handle_disconnect(Instant now, const PeerId& peer);

    /// One of several streams to `peer` broke, which carried the frames of this passage. Some of
    /// them may be lost, so the exchange that they belong to ends; the partner is told over the
    /// other streams.
    void handle_loss(Instant now, const PeerId& peer, Passage passage);

    void peer_up(Instant now, const PeerId& peer);
    void peer_down(Instant now, const PeerId& peer);

    // Commands.

    /// Opens an exchange with a random live partner that is not among `except`. Returns false when
    /// one is in flight already or nobody is there; then nothing happened.
    bool begin_exchange(Instant now, std::span<const PeerId> except = {});

    /// Does the same in a round that all peers count alike. Partners follow from the shared seed
    /// and the sorted live view, so that after log2(n) rounds of n = 2^k peers all are equal
    /// (one-peer exponential graph: Ying et al. 2021, in its symmetric form). Both of a pair ask,
    /// and whoever is asked before it has come to that round answers when it is there. A peer whose
    /// partner does not come within sync_wait, or that has none, takes a random one. Returns
    /// in_round().
    /// Requires  round > 0, and more than in the call before
    bool begin_round(Instant now, std::uint64_t round);

    /// Whether we make rounds: then a partner that is ahead waits for us, and one that is behind is
    /// told so. A peer that makes no steps answers at once. Initially false; begin_round() sets it.
    void count_rounds(Instant now, bool wanted);

    /// A newcomer or a restarted peer is a ghost: it stands outside the sum. Its exchanges only
    /// bring it nearer to its partners, and it gives them nothing. It is promoted when it is no
    /// further from a partner than twice what the partner is from others, or after eight exchanges.
    /// Initially false.
    void set_ghost(bool ghost);

    /// Whether we answer Open from others with Accept. A peer whose parameters are not yet loaded
    /// answers Busy. Initially true.
    void set_accepting(bool accepting);

    /// Sets the encoding that we wish for in the exchanges to come; where the partner wishes for a
    /// finer one, both use that. Initially the configuration's. A peer that settles wishes for f32,
    /// which has no floor of the distance.
    ///
    /// Requires  the same elements as the configuration's encoding
    void set_encoding(Encoding encoding);

    /// While peers settle there is no training, and momentum would only keep them apart. So noloco
    /// mixes pairwise then. All rules but push-sum average all of the parameters then, whatever the
    /// share.
    void set_settling(bool settling);

    /// Sets log2 of our weight in pairwise exchanges to come; nothing: all our pairs are even, as with
    /// the other rules. An honest peer changes it at most once in a minute. Initially nothing.
    void set_weight(std::optional<std::int8_t> log2);

    /// The parameters were replaced from outside: what a rule keeps beside them starts anew.
    void adopt_parameters();

    // To outside: drain after every call above.

    [[nodiscard]] std::optional<Outgoing> poll_transmit();
    [[nodiscard]] std::optional<ExchangeEvent> poll_event();
    [[nodiscard]] std::optional<Instant> poll_timeout() const;

    /// Takes back the memory of a frame that was sent, for later ones.
    void recycle(Bytes frame);

    // What we know.

    /// Whether an exchange is in flight that we asked for, and one that a partner asked for.
    [[nodiscard]] bool initiating() const;
    [[nodiscard]] bool responding() const;

    /// True from begin_round() until the exchange of this round, or what has taken its place, is
    /// over. Other exchanges do not count.
    [[nodiscard]] bool in_round() const;

    /// The round that we are in, as partners count it; 0 before the first one.
    [[nodiscard]] std::uint64_t round() const;

    [[nodiscard]] bool ghost() const;

    /// Weight of a part of a chunk in the sum that the rule keeps: 1 but for push-sum.
    [[nodiscard]] double weight(std::size_t chunk, std::uint32_t part = 0) const;

    /// Whether a lock still holds back what a broken exchange must undo.
    [[nodiscard]] bool returning() const;

    /// Bytes of payloads that are held for exchanges: offered and not answered yet, or waiting for
    /// a lock. At most a window and a chunk of each, whatever partners do.
    [[nodiscard]] std::size_t bytes_held() const;

    /// Returns the share of a difference that we may still go beside what the exchanges in flight take:
    /// these shares add up to at most 1. Otherwise two heavy partners of a light peer would mirror it.
    [[nodiscard]] double share_left() const;

    /// Running mean of relative_distance over the last exchanges (decay 1/4 an exchange); 0 at
    /// first.
    [[nodiscard]] double spread() const;

    [[nodiscard]] const AveragerCounters& counters() const;

private:
    class Machine;
    std::unique_ptr<Machine> machine_;
};

}  // namespace starling::gossip
