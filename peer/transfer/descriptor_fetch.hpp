#pragma once

// How a newcomer gets the descriptor of its swarm, as a machine without I/O: it asks the seeds one
// after the other, again and again, until one gives the descriptor or the patience is over. One
// stream is open at a time.
//
// The driver carries out each command, and calls handle_closed() exactly once for each Dial: when
// the dial fails, or when the stream has ended, for whatever reason. After each call it drains
// poll_note() and poll_command() and arms one timer.
//
// Invariant: `outcome` appears once and never changes; after it the last command is a Close, if a
// stream is still open.

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

struct FetchedDescriptor {
    Bytes blob;
    SwarmId swarm;  ///< as the seed names it; equals the blob's hash
    Endpoint seed;  ///< the peer that gave it
};

class DescriptorFetch {
public:
    /// How long the driver may take to dial, and then how long it waits for the greeting.
    static constexpr Duration kStreamTimeout = std::chrono::seconds(3);

    struct Command {
        enum class Kind { Dial, Ask, Close };  ///< Ask: send a DescriptorRequest
        Kind kind;
        Endpoint to;
    };

    /// `self` is our id: a seed that turns out to be us is refused. `sha256` checks the blob.
    DescriptorFetch(
        Instant now,
        std::vector<Endpoint> seeds,
        const PeerId& self,
        Duration patience,
        data::HashFunction sha256
    );

    /// The peer at the other end of the dialled stream has greeted.
    void handle_greeted(Instant now, const PeerId& id, const SwarmId& swarm);
    /// The payload of a DescriptorPiece has come.
    void handle_piece(Instant now, ByteView payload);
    /// The dial has failed or the stream has ended.
    void handle_closed(Instant now, const Fault& why);
    void handle_timeout(Instant now);

    [[nodiscard]] std::optional<Command> poll_command();
    /// Returns a line for the user: one for each seed that fails in the first round.
    [[nodiscard]] std::optional<std::string> poll_note();

    [[nodiscard]] std::optional<Instant> poll_timeout() const { return deadline_; }

    /// Errors    BadVersion or Cancelled, at once; otherwise the last failure when the time is over:
    ///           Unreachable, Timeout, Closed, Refused (we are the seed), Truncated, BadFormat,
    ///           Oversized, Corrupt (hash)
    [[nodiscard]] const std::optional<Result<FetchedDescriptor>>& outcome() const {
        return outcome_;
    }

private:
    enum class Stage {
        Dialling,
        Asking,   ///< the seed has greeted and owes us the blob
        Closing,  ///< this seed is done with; its stream has not ended yet
        Pausing,  ///< between two rounds over the seeds
        Over,
    };

    [[nodiscard]] const Endpoint& seed() const { return seeds_[at_]; }

    void begin_round(Instant now);
    void dial(Instant now);
    void give_up_seed(const Fault& why);
    void next_seed(Instant now);
    void end(Result<FetchedDescriptor> outcome);

    std::vector<Endpoint> seeds_;
    PeerId self_;
    Instant until_;
    data::HashFunction sha256_;
    Stage stage_ = Stage::Dialling;
    std::size_t at_ = 0;  ///< the seed that we ask now
    bool first_round_ = true;
    Fault last_;  ///< why the seed before failed, or this one, once that is known
    SwarmId swarm_;
    Bytes blob_;
    std::optional<Instant> deadline_;
    std::deque<Command> commands_;
    std::deque<std::string> notes_;
    std::optional<Result<FetchedDescriptor>> outcome_;
};

}  // namespace starling::peer
