// The part of Swarm that uses streams: membership's push/pulls and pings, and frames of averaging.
// It corresponds to peer/streams/ in the daemon.

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/check.hpp"
#include "peer/virtual/swarm_node.hpp"

namespace starling::peer_virtual {

namespace {

/// A push/pull message is one page with a byte in front. The byte says whether more pages follow,
/// and whether the last page wants an answer.
constexpr std::byte kMore{0};
constexpr std::byte kLast{1};
constexpr std::byte kEnd{3};
/// A ping over a stream is one byte, and so is its answer.
constexpr std::byte kPing{2};
constexpr std::size_t kReplayWindow = 16;

}  // namespace

void Swarm::on_delivery(Delivery delivery) {
    auto& node = *nodes_[delivery.node];
    if (node.state == NodeState::Absent) return;
    const auto index = delivery.node;
    // Before it has a descriptor, a newcomer is no member, and it has no key for others.
    const bool member = !node.session || node.session->begun();
    switch (delivery.kind) {
        case Delivery::Kind::Datagram:
            if (!member || !opens(node, delivery)) return;
            node.swim->handle_datagram(local(index), endpoint(delivery.peer), delivery.bytes);
            node.swim->recycle(std::move(delivery.bytes));
            break;
        case Delivery::Kind::Accepted:
            on_accepted(delivery);
            break;
        case Delivery::Kind::Opened:
            on_opened(delivery);
            break;
        case Delivery::Kind::Broken:
            on_broken(delivery);
            break;
        case Delivery::Kind::Message:
            if (!member && delivery.purpose != StreamPurpose::Descriptor) return;
            if (delivery.purpose == StreamPurpose::PushPull) {
                on_page(delivery);
            } else if (delivery.purpose == StreamPurpose::Ping) {
                on_stream_ping(delivery);
            } else if (delivery.purpose == StreamPurpose::Descriptor) {
                on_descriptor_message(delivery);
            } else if (node.session) {
                on_partner_frame(delivery);
            } else {
                on_frame(delivery);
            }
            break;
    }
    if (exists(index)) pump(index);
}

void Swarm::open_stream(
    NodeIndex index,
    const Endpoint& to,
    StreamPurpose purpose,
    const membership::StreamRequest& request
) {
    const auto peer = this->index(to);
    if (!peer || *peer == index) return;
    const auto stream = network_.open_stream(now_, index, *peer, purpose);
    nodes_[index]->asked.emplace(stream, request);
}

void Swarm::send_pages(
    NodeIndex index, std::uint64_t stream, const std::vector<Bytes>& pages, bool wants_answer
) {
    for (std::size_t i = 0; i < pages.size(); ++i) {
        Bytes message{i + 1 < pages.size() ? kMore : wants_answer ? kLast : kEnd};
        message.insert(message.end(), pages[i].begin(), pages[i].end());
        network_.send_message(now_, stream, index, std::move(message));
    }
}

void Swarm::on_accepted(const Delivery& delivery) {
    if (delivery.purpose == StreamPurpose::Partners) {
        nodes_[delivery.node]->links[delivery.peer].push_back(delivery.stream);
    }
}

void Swarm::on_opened(const Delivery& delivery) {
    auto& node = *nodes_[delivery.node];
    if (delivery.purpose == StreamPurpose::PushPull) {
        const auto asked = node.asked.find(delivery.stream);
        if (asked == node.asked.end()) return;
        const auto request = asked->second;
        send_pages(
            delivery.node, delivery.stream, node.swim->pages_for(request), request.wants_answer()
        );
        if (!request.wants_answer()) {
            node.asked.erase(asked);
            network_.close_stream(now_, delivery.stream, delivery.node);
        }
        return;
    }
    if (delivery.purpose == StreamPurpose::Ping) {
        network_.send_message(now_, delivery.stream, delivery.node, Bytes{kPing});
        return;
    }
    if (delivery.purpose == StreamPurpose::Descriptor) {
        if (!node.fetches_over(delivery)) return;
        node.session->fetch()->handle_greeted(
            local(delivery.node), endpoint(delivery.peer), id(delivery.peer), terms_->id
        );
        return;
    }
    const auto found = node.unopened.find(delivery.stream);
    if (found == node.unopened.end()) return;
    for (auto& frame : found->second) {
        network_.send_message(now_, delivery.stream, delivery.node, std::move(frame));
    }
    node.unopened.erase(found);
}

void Swarm::on_broken(const Delivery& delivery) {
    auto& node = *nodes_[delivery.node];
    node.asked.erase(delivery.stream);
    if (delivery.refused) {
        node.swim->handle_stream_refused(local(delivery.node), id(delivery.peer));
    }
    node.unopened.erase(delivery.stream);
    if (node.fetches_over(delivery)) {
        // Not where the seed is now: it may have moved.
        const auto over = std::find_if(
            node.fetch_streams.begin(),
            node.fetch_streams.end(),
            [&](const auto& entry) { return entry.second == delivery.stream; }
        );
        const Endpoint seed = over->first;
        node.fetch_streams.erase(over);
        const auto why = delivery.refused
                             ? fail(FaultCode::Unreachable, "nobody listens at the seed")
                             : fail(FaultCode::Timeout, "no answer from the seed");
        node.session->fetch()->handle_closed(local(delivery.node), seed, why);
        return;
    }
    const auto found = node.links.find(delivery.peer);
    if (found == node.links.end() || std::erase(found->second, delivery.stream) == 0) return;
    node.swim->handle_stream_lost(local(delivery.node), id(delivery.peer));
    if (found->second.empty()) node.links.erase(found);
    node.averager->handle_disconnect(local(delivery.node), id(delivery.peer));
    if (node.session) {
        node.session->session().handle_broken(local(delivery.node), id(delivery.peer));
    }
    tell_partner_broken(delivery.node, delivery.peer);
}

void Swarm::tell_partner_broken(NodeIndex index, NodeIndex partner) {
    for (auto* observer : observers_) observer->on_partner_broken(now_, index, partner);
}

void Swarm::on_page(Delivery& delivery) {
    auto& node = *nodes_[delivery.node];
    STARLING_CHECK(!delivery.bytes.empty());
    const auto page = ByteView(delivery.bytes).subspan(1);
    const auto merged = node.swim->handle_push_pull(local(delivery.node), page, id(delivery.peer));
    if (!merged) tell_rejected(delivery.node, merged.error());
    if (delivery.bytes.front() == kMore) return;
    if (node.asked.erase(delivery.stream) == 0 && delivery.bytes.front() == kLast) {
        const auto answer = merged ? *merged : membership::StreamAnswer{};
        send_pages(delivery.node, delivery.stream, node.swim->pages_for(answer), false);
    }
    network_.close_stream(now_, delivery.stream, delivery.node);
}

void Swarm::on_stream_ping(const Delivery& delivery) {
    auto& node = *nodes_[delivery.node];
    if (node.asked.erase(delivery.stream) != 0) {
        node.swim->handle_stream_pong(local(delivery.node), id(delivery.peer));
    } else {
        network_.send_message(now_, delivery.stream, delivery.node, Bytes{kPing});
    }
    network_.close_stream(now_, delivery.stream, delivery.node);
}

/// Spoils a frame as a hostile partner may do: it writes NaNs or far too large values at the
/// frame's end, where payloads are, changes any byte, or changes the length.
void Swarm::spoil(NodeIndex index, double share, Bytes& frame) {
    auto& rng = nodes_[index]->rng;
    if (frame.empty() || !rng.chance(share)) return;
    const auto any = static_cast<std::size_t>(rng.below(frame.size()));
    const auto way = rng.below(5);
    if (way < 2) {
        const float value = way == 0 ? std::numeric_limits<float>::quiet_NaN() : 1e30F;
        const auto count = 1 + rng.below(8);
        for (std::size_t i = 1; i <= count && i * sizeof value <= frame.size(); ++i) {
            std::memcpy(frame.data() + frame.size() - i * sizeof value, &value, sizeof value);
        }
    } else if (way == 2) {
        frame[any] ^= static_cast<std::byte>(1 + rng.below(255));
    } else if (way == 3) {
        frame.resize(any);
    } else {
        frame.resize(frame.size() + 1 + any);
    }
}

void Swarm::transmit_frame(NodeIndex index, gossip::Outgoing outgoing) {
    if (lying_ && lies(index)) spoil(index, options_.averaging->lie, outgoing.frame);
    if (nodes_[index]->spoils > 0) spoil(index, nodes_[index]->spoils, outgoing.frame);
    if (has_sessions()) {
        outgoing.frame.insert(
            outgoing.frame.begin(), static_cast<std::byte>(peer::FrameType::Exchange)
        );
    }
    send_to_partner(index, this->index(outgoing.to), std::move(outgoing.frame));
}

void Swarm::send_to_partner(NodeIndex index, NodeIndex peer, Bytes frame) {
    auto& node = *nodes_[index];
    auto& streams = node.links[peer];
    if (streams.empty()) {
        const auto opened = network_.open_stream(now_, index, peer, StreamPurpose::Partners);
        streams.push_back(opened);
        node.unopened[opened];
    }
    const auto stream = streams.front();
    const auto waiting = node.unopened.find(stream);
    if (waiting == node.unopened.end()) {
        network_.send_message(now_, stream, index, std::move(frame));
    } else {
        waiting->second.push_back(std::move(frame));
    }
}

void Swarm::on_frame(Delivery& delivery) {
    auto& node = *nodes_[delivery.node];
    const double replay = options_.averaging->replay;
    handle_frame(delivery, delivery.bytes);
    if (replay <= 0.0) {
        node.averager->recycle(std::move(delivery.bytes));
        return;
    }
    auto& history = node.history[delivery.peer];
    history.push_back(std::move(delivery.bytes));
    if (history.size() > kReplayWindow) history.pop_front();
    if (!node.rng.chance(replay)) return;
    const auto again = history[static_cast<std::size_t>(node.rng.below(history.size()))];
    handle_frame(delivery, again);
}

void Swarm::handle_frame(const Delivery& delivery, ByteView frame) {
    auto& node = *nodes_[delivery.node];
    const auto& peer = id(delivery.peer);
    const auto handled = node.averager->handle_frame(local(delivery.node), peer, frame);
    if (handled) return;
    tell_rejected(delivery.node, handled.error());
    drop_links(delivery.node, delivery.peer);
    node.averager->handle_disconnect(local(delivery.node), peer);
}

void Swarm::tell_rejected(NodeIndex index, const Fault& fault) {
    for (auto* observer : observers_) observer->on_rejected(now_, index, fault);
}

void Swarm::drop_links(NodeIndex index, NodeIndex peer) {
    auto& node = *nodes_[index];
    const auto found = node.links.find(peer);
    if (found == node.links.end()) return;
    const auto streams = std::move(found->second);
    node.links.erase(found);
    tell_partner_broken(index, peer);
    for (const auto stream : streams) {
        node.unopened.erase(stream);
        network_.close_stream(now_, stream, index);
    }
}

}  // namespace starling::peer_virtual
