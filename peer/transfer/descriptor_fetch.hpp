#pragma once

// How a newcomer gets the descriptor of its swarm, as a machine without I/O: it dials several seeds
// at once, asks the first that greets, and goes on again and again until one gives the descriptor
// or the patience is over. A seed that gives no answer at all, or that is cut off after it has greeted, may
// come back: then it goes on for kLongPatience, with ever longer pauses. At most kAtOnce streams are open, and one seed at a time sends the blob.
// Seeds that are names come in when they are looked up.
//
// The driver carries out each command, and calls handle_closed() exactly once for each Dial: when
// the dial fails, or when the stream has ended, for whatever reason. After each call it drains
// poll_note() and poll_command() and arms one timer.
//
// Invariant: `outcome` appears once and never changes; with it comes a Close for each stream that
// is still open.

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/assembly.hpp"
#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

struct FetchedDescriptor {
    Bytes blob;
    SwarmId swarm;       ///< as the seed names it; equals the blob's hash
    Endpoint seed;       ///< the peer that gave it
    bool small = false;  ///< it came in small segments, after others had got lost
};

class DescriptorFetch {
public:
    /// How long the driver may take to dial, and then how long it waits for the greeting.
    /// A dial takes one round trip, a greeting one or two: 6 s allow a second one way.
    static constexpr Duration kStreamTimeout = std::chrono::seconds(6);
    /// How long it goes on in all while a seed seems to be cut off.
    static constexpr Duration kLongPatience = std::chrono::minutes(10);
    /// The longest pause between two rounds over the seeds.
    static constexpr Duration kPauseMax = std::chrono::seconds(30);
    /// Most streams that are open at once.
    static constexpr std::size_t kAtOnce = 8;
    /// Most seeds; more help nobody.
    static constexpr std::size_t kSeedsMax = 256;

    struct Command {
        enum class Kind { Dial, Ask, Close };  ///< Ask: send a DescriptorRequest
        Kind kind;
        Endpoint to;
        bool small = false;  ///< of a Dial: with small segments
    };

    /// `self` is our id: a seed that turns out to be us is refused. `sha256` checks the blob.
    /// `names` look-ups are still running; handle_name() is called for each of them.
    DescriptorFetch(
        Instant now,
        const std::vector<Endpoint>& seeds,
        const PeerId& self,
        Duration patience,
        data::HashFunction sha256,
        std::size_t names = 0
    );

    /// A name among the seeds was looked up.
    void handle_name(Instant now, const Result<std::vector<Endpoint>>& found);
    /// The peer at the other end of a dialled stream has greeted.
    void handle_greeted(Instant now, const Endpoint& at, const PeerId& id, const SwarmId& swarm);
    /// The payload of a DescriptorPiece has come.
    void handle_piece(Instant now, const Endpoint& from, ByteView payload);
    /// The seed has no descriptor yet: it is founding the swarm, and `progress` says how far that is.
    /// The patience begins anew, since somebody is there.
    void handle_not_yet(Instant now, const Endpoint& from, const std::string& progress);
    /// A dial has failed or its stream has ended.
    void handle_closed(Instant now, const Endpoint& at, const Fault& why);
    void handle_timeout(Instant now);

    [[nodiscard]] std::optional<Command> poll_command();
    /// Returns a line for the user: one for each seed that fails in the first round, one for each round after the
    /// patience is over, one for each name that is not known, and now and then how far a founder is.
    [[nodiscard]] std::optional<std::string> poll_note();
    [[nodiscard]] std::optional<Instant> poll_timeout() const;

    /// Returns how many bytes of a blob are held: never more than the seed that is asked has sent.
    [[nodiscard]] std::size_t held_bytes() const { return blob_.bytes().size(); }

    /// Errors    at once, when no seed is left that may answer later: BadVersion, or the fault of a
    ///           look-up; otherwise the last failure when the time is over: Unreachable, Timeout,
    ///           Closed, Refused (we are the seed), Truncated, BadFormat, Oversized, Corrupt (hash)
    [[nodiscard]] const std::optional<Result<FetchedDescriptor>>& outcome() const {
        return outcome_;
    }

private:
    enum class Stage {
        Due,  ///< to be dialled in this round
        Dialling,
        Greeted,   ///< asked next, if the one that is asked now fails
        Asking,    ///< has greeted and owes us the blob
        Closing,   ///< done with in this round; its stream has not ended yet
        Failed,    ///< done with in this round
        Hopeless,  ///< never dialled again: it has another version
    };

    struct Seed {
        Endpoint at;
        Stage stage = Stage::Due;
        std::optional<Instant> deadline{};
        SwarmId swarm{};
        bool failed_before = false;
        /// Its last failure may be that of a link, and no sign that nobody of ours is there.
        bool cut_off = false;
        /// It has greeted and then sent nothing: large packets may get lost on the way.
        bool small = false;
    };

    [[nodiscard]] Seed* find(const Endpoint& at);
    void add(const Endpoint& at);
    [[nodiscard]] std::size_t open() const;
    [[nodiscard]] bool any(Stage stage) const;
    void go_on(Instant now);
    void ask(Instant now);
    void dial(Instant now);
    void give_up(Seed& seed, const Fault& why);
    void failed(Seed& seed, const Fault& why, bool again);
    [[nodiscard]] bool over(Instant now) const;
    void pause(Instant now);
    void end(Result<FetchedDescriptor> outcome);

    PeerId self_;
    Duration patience_;
    Instant until_;
    Instant longest_;                      ///< the end of the long patience
    Duration pause_;                       ///< the next one
    bool told_ = false;                    ///< people have read a line in this round
    std::optional<Instant> told_not_yet_;  ///< when people read last that a seed is founding
    data::HashFunction sha256_;
    std::size_t names_;  ///< look-ups that have not ended
    std::vector<Seed> seeds_;
    Fault last_;                          ///< why the last seed that failed did
    Assembly blob_;                       ///< what the seed that is asked has sent
    std::optional<Instant> pause_until_;  ///< between two rounds over the seeds
    std::deque<Command> commands_;
    std::deque<std::string> notes_;
    std::optional<Result<FetchedDescriptor>> outcome_;
};

}  // namespace starling::peer
