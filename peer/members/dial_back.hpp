#pragma once

// Whether others can dial us at the address that we announce. A peer cannot know this by itself: its
// address may be behind address translation, a firewall or a mistake. So it asks the first members
// that it greets to dial back. One that nobody reaches says so and goes on: it opens a stream to
// every member, and the others use these for exchanges, and for pings when no datagram gets through.
//
//   ReachRequest: address 16 B, port u16      ReachAnswer: reached u8
//
// Thread    network

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "membership/member_table.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/links.hpp"

namespace starling::peer {

/// What is known about dialling us.
enum class Reach : std::uint8_t { Unknown, Reached, NotReached };

/// Returns the same in the form of a record.
[[nodiscard]] inline std::optional<bool> reachable(Reach reach) {
    return reach == Reach::Unknown ? std::nullopt : std::optional(reach == Reach::Reached);
}

class DialBack final : public FrameReceiver, private ConnectionHandler {
public:
    /// Registers with `links` for its frames. `note` takes lines for people.
    /// Requires  `links` outlives this
    DialBack(Loop& loop, Links& links, std::function<void(const std::string&)> note);

    /// Says who we are, before anything else is called.
    void begin(const PeerId& self, const Endpoint& announced);

    /// A member has greeted: the first ones are asked to dial back.
    void on_greeted(const PeerId& peer);

    /// Opens streams to members that have none with us, if nobody can dial us. Call it every few
    /// seconds.
    void keep_streams(const membership::MemberList& members);

    void handle_frame(const PeerId& from, FrameType type, ByteView payload) override;

    [[nodiscard]] Reach reach() const { return reach_; }

private:
    /// One dial for somebody who has asked.
    struct Trial {
        Endpoint to;
        ConnectionPtr connection;
    };

    void on_greeted(Connection& connection) override;
    void on_frame(Connection& connection, FrameType type, ByteView payload) override;
    void on_sent(Connection& connection, FrameType type, Bytes payload) override;
    void on_closed(Connection& connection, const Fault& why) override;
    void on_request(const PeerId& from, ByteView payload);
    void on_answer(const PeerId& from, ByteView payload);
    void answer(const PeerId& asker, bool reached);

    Loop& loop_;
    Links& links_;
    std::function<void(const std::string&)> note_;
    PeerId self_;
    Endpoint announced_;
    Reach reach_ = Reach::Unknown;
    std::unordered_set<PeerId> asked_;  ///< who has not answered yet
    std::size_t refusals_ = 0;          ///< members that did not reach us, since the last question
    Instant ask_again_{};
    std::map<PeerId, Trial> trials_;  ///< by who has asked
};

}  // namespace starling::peer
