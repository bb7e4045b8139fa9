#include "peer/members/membership_streams.hpp"

#include <utility>

#include "peer/machine/clock.hpp"

namespace starling::peer {

namespace {

/// The byte before a page says whether the receiver shall answer.
constexpr std::byte kTells{0};
constexpr std::byte kWantsAnswer{1};

}  // namespace

MembershipStreams::MembershipStreams(Links& links, MembershipDriver& membership)
    : links_(links),
      membership_(membership) {
    for (const auto type : {FrameType::PushPull, FrameType::Ping, FrameType::Pong}) {
        links_.route(type, *this);
    }
}

void MembershipStreams::send(const membership::StreamRequest& request) {
    owner_.check();
    if (request.kind == membership::StreamRequest::Kind::Ping) {
        links_.send(request.peer, FrameType::Ping, {});
        return;
    }
    send_pages(request.peer, membership_.swim().pages_for(request), request.wants_answer());
}

void MembershipStreams::send_table(const PeerId& to) {
    owner_.check();
    send_pages(to, membership_.swim().push_pull_pages(), true);
}

void MembershipStreams::handle_frame(const PeerId& from, FrameType type, ByteView payload) {
    owner_.check();
    switch (type) {
        case FrameType::PushPull:
            on_page(from, payload);
            return;
        case FrameType::Ping:
            links_.send(from, FrameType::Pong, {});
            return;
        case FrameType::Pong:
            membership_.swim().handle_stream_pong(real_now(), from);
            membership_.pump();
            return;
        default:
            STARLING_UNREACHABLE("a frame that is not membership's");
    }
}

void MembershipStreams::send_pages(
    const PeerId& to, const std::vector<Bytes>& pages, bool wants_answer
) {
    for (std::size_t i = 0; i < pages.size(); ++i) {
        Bytes payload;
        payload.reserve(pages[i].size() + 1);
        const bool asks = wants_answer && i + 1 == pages.size();
        payload.push_back(asks ? kWantsAnswer : kTells);
        payload.insert(payload.end(), pages[i].begin(), pages[i].end());
        counters_.page_bytes_sent += payload.size();
        links_.send(to, FrameType::PushPull, std::move(payload));
    }
}

void MembershipStreams::on_page(const PeerId& from, ByteView payload) {
    if (payload.empty()) {
        ++counters_.malformed_pages;
        return;
    }
    const auto merged = membership_.swim().handle_push_pull(real_now(), payload.subspan(1), from);
    if (merged.has_error()) {
        ++counters_.malformed_pages;
        return;
    }
    if (merged->forged > 0) {
        ++counters_.forged_pages;
        if (judge_) judge_(from, merged->forged);
    }
    if (payload.front() == kWantsAnswer) answer(from, *merged);
    membership_.release();
    membership_.pump();
}

void MembershipStreams::answer(const PeerId& to, const membership::StreamAnswer& answer) {
    const auto waits = [this](const PeerId& peer) { return links_.queued_bytes(peer) > 0; };
    if (!answer_limit_.admit(real_now(), to, waits)) {
        ++counters_.refused_answers;
        return;
    }
    send_pages(to, membership_.swim().pages_for(answer), false);
}

}  // namespace starling::peer
