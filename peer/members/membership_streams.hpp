#pragma once

// Membership over streams: two members compare their tables, or ping each other when no datagram
// gets through. docs/protocol/membership.md has the bytes.
//
// Thread    network

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/ids.hpp"
#include "membership/swim.hpp"
#include "peer/members/answer_limit.hpp"
#include "peer/members/membership_driver.hpp"
#include "peer/streams/links.hpp"

namespace starling::peer {

struct MembershipStreamCounters {
    std::uint64_t page_bytes_sent = 0;
    std::uint64_t malformed_pages = 0;
    std::uint64_t refused_answers = 0;  ///< too many were on their way
    std::uint64_t forged_pages = 0;     ///< held statements whose signature does not fit
};

class MembershipStreams final : public FrameReceiver {
public:
    /// Registers with `links` for the frames of membership.
    /// Requires  `links` and `membership` outlive this
    MembershipStreams(Links& links, MembershipDriver& membership);

    /// Sends what the machine asks to send to one member.
    void send(const membership::StreamRequest& request);

    /// Sends our whole table to a peer and asks for its own.
    void send_table(const PeerId& to);

    /// Calls `judge` with each peer that sends a page with forged statements, and their number. No
    /// honest peer passes any on, so whoever has signed the stream is to blame.
    void on_forged(std::function<void(const PeerId& from, std::uint32_t forged)> judge) {
        judge_ = std::move(judge);
    }

    void handle_frame(const PeerId& from, FrameType type, ByteView payload) override;

    [[nodiscard]] const MembershipStreamCounters& counters() const { return counters_; }

private:
    void send_pages(const PeerId& to, const std::vector<Bytes>& pages, bool wants_answer);
    void on_page(const PeerId& from, ByteView payload);
    void answer(const PeerId& to, const membership::StreamAnswer& answer);

    ThreadOwner owner_;
    Links& links_;
    MembershipDriver& membership_;
    AnswerLimit answer_limit_;
    MembershipStreamCounters counters_;
    std::function<void(const PeerId&, std::uint32_t)> judge_;
};

}  // namespace starling::peer
