#pragma once

// What both sides of a stream say before anything else, as a machine without I/O: who they are, that
// they belong to one swarm, and that they hold its key.
//
//   dialler   Hello ------------->            acceptor
//                    <------------- Hello, with the acceptor's proof
//             Proof ------------->            if the swarm has a key
//
// A peer that does not know its swarm yet names none. Until the greeting is over, and for such a
// peer for ever, the only other frame that is let in is a DescriptorRequest.

#include <cstdint>
#include <deque>
#include <optional>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "peer/streams/frame.hpp"
#include "peer/streams/hello.hpp"

namespace starling::peer {

/// What one side brings to a greeting.
struct Introduction {
    Hello ours;
    ProveKey prove;                  ///< none: nobody has to prove that it holds a key
    std::optional<PeerId> wanted{};  ///< the only peer that may be on the other side
};

class Greeting {
public:
    /// What a frame from the partner meant.
    enum class Step {
        Taken,  ///< it belonged to the greeting, which is not over yet
        Over,   ///< with it the greeting is over: the partner is one of our swarm
        Pass,   ///< it does not belong to the greeting and may be handled
    };

    struct Outgoing {
        FrameType type;
        Bytes payload;
    };

    /// Requires  a nonce in `introduction.ours` that was never used before
    Greeting(StreamRole role, Introduction introduction);

    /// Takes in any frame but a Goodbye.
    /// Errors    those of decode_hello; BadFormat (frames out of order), Refused (ourselves, a wrong
    ///           key, a frame that needs a greeting first), SwarmMismatch, Unreachable (not the
    ///           wanted peer)
    [[nodiscard]] Result<Step> handle_frame(FrameType type, ByteView payload);

    /// Returns the frames to send, also those before an error.
    [[nodiscard]] std::optional<Outgoing> poll_transmit();

    [[nodiscard]] const Hello& ours() const { return intro_.ours; }

    /// Returns the partner's Hello; null before it comes.
    [[nodiscard]] const Hello* partner() const { return partner_ ? &*partner_ : nullptr; }

    [[nodiscard]] bool over() const { return stage_ == Stage::Over; }

    /// Returns whether the partner was refused: it is of another swarm or holds another key.
    [[nodiscard]] bool refused() const { return refused_; }

    /// Returns what the stream carries, which its dialler has said.
    [[nodiscard]] StreamKind kind() const { return (dialled() ? ours() : *partner_).kind; }

    /// Returns the text over which this side makes its MAC.
    [[nodiscard]] Bytes text_of(StreamRole role) const;

private:
    enum class Stage {
        Silent,  ///< the partner has not said anything
        Owing,   ///< it has greeted and owes us the proof that it holds the key
        Guest,   ///< it belongs to no swarm
        Over,
    };

    [[nodiscard]] bool dialled() const { return role_ == StreamRole::Dialler; }

    [[nodiscard]] Result<Step> on_hello(ByteView payload);
    [[nodiscard]] Result<Step> on_proof(ByteView payload);
    [[nodiscard]] Result<Step> on_other(FrameType type);
    [[nodiscard]] std::optional<Fault> objection(const Hello& partner);
    Fault refuse(FaultCode code, std::string why);
    void put_hello();

    StreamRole role_;
    Introduction intro_;
    Stage stage_ = Stage::Silent;
    std::optional<Hello> partner_;
    bool refused_ = false;
    std::deque<Outgoing> outgoing_;
};

}  // namespace starling::peer
