#pragma once

// What both sides of a stream say before anything else, as a machine without I/O: who they are, proven
// by a signature, and that they belong to one swarm. The session below it (peer/crypto/channel.hpp) has
// shown already that they hold its key.
//
//   dialler   Hello ------------->            acceptor
//                    <------------- Hello
//
// A peer that does not know its swarm yet names none, and one whose session was opened without the
// swarm's key may not name any. The only frame that is let in from such a guest is a DescriptorRequest.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "peer/streams/frame.hpp"
#include "peer/streams/hello.hpp"

namespace starling::peer {

/// What one side brings to a stream.
struct Introduction {
    Hello ours;
    /// Who signs it. Its id is that of ours.
    std::shared_ptr<const membership::Notary> notary;
    ChannelKeys keys{};
    std::optional<PeerId> wanted{};  ///< the only peer that may be on the other side
    /// Frames travel unsealed. Only measurements want that, to know what sealing costs.
    bool plain = false;
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

    /// Requires  a session that is open: `admission` and `binding` are its own
    Greeting(
        ChannelRole role, Introduction introduction, Admission admission, ChannelBinding binding
    );

    /// Takes in any frame but a Goodbye.
    /// Errors    those of decode_hello; BadFormat (frames out of order), Refused (ourselves, a guest
    ///           that asks for more than the descriptor), SwarmMismatch, Unreachable (not the wanted
    ///           peer)
    [[nodiscard]] Result<Step> handle_frame(FrameType type, ByteView payload);

    /// Returns the frames to send, also those before an error.
    [[nodiscard]] std::optional<Outgoing> poll_transmit();

    [[nodiscard]] const Hello& ours() const { return intro_.ours; }

    /// Returns the partner's Hello; null before it comes.
    [[nodiscard]] const Hello* partner() const { return partner_ ? &*partner_ : nullptr; }

    [[nodiscard]] bool over() const { return stage_ == Stage::Over; }

    /// Returns whether the partner was refused: it is of another swarm, or ourselves.
    [[nodiscard]] bool refused() const { return refused_; }

    /// Returns what the stream carries, which its dialler has said.
    [[nodiscard]] StreamKind kind() const { return (dialled() ? ours() : *partner_).kind; }

private:
    enum class Stage {
        Silent,  ///< the partner has not said anything
        Guest,   ///< it belongs to no swarm
        Over,
    };

    [[nodiscard]] bool dialled() const { return role_ == ChannelRole::Dialler; }

    [[nodiscard]] Result<Step> on_hello(ByteView payload);
    [[nodiscard]] std::optional<Fault> objection(const Hello& partner);
    Fault refuse(FaultCode code, std::string why);
    void put_hello();

    ChannelRole role_;
    Introduction intro_;
    Admission admission_;
    ChannelBinding binding_;
    Stage stage_ = Stage::Silent;
    std::optional<Hello> partner_;
    bool refused_ = false;
    std::deque<Outgoing> outgoing_;
};

}  // namespace starling::peer
