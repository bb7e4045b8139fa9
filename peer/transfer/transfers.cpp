#include "peer/transfer/transfers.hpp"

#include <algorithm>
#include <utility>

namespace starling::peer {

Transfers::Transfers(
    data::ShardStore& shards,
    ParameterChunks& parameters,
    const LayoutHash& layout,
    std::uint64_t salt,
    Outbox& out,
    std::uint64_t cache
)
    : parameters_(parameters),
      layout_(layout),
      salt_(salt),
      out_(out),
      shards_(shards, out),
      cache_(shards, out, cache),
      donor_(parameters, layout, out) {}

void Transfers::fetch_state(std::vector<std::uint32_t> kept) {
    fetch_.emplace(parameters_, layout_, salt_, out_, std::move(kept));
}

void Transfers::end_state() {
    fetch_.reset();
}

std::optional<std::uint64_t> Transfers::donors_schedule_step() const {
    if (!fetch_) return std::nullopt;
    return fetch_->schedule_step();
}

void Transfers::set_donors(Instant now, std::span<const PeerId> donors, double spread) {
    if (!fetch_) return;
    fetch_->set_spread(spread);
    fetch_->set_candidates(now, donors);
}

std::optional<std::string> Transfers::poll_note() {
    if (auto note = cache_.poll_note()) return note;
    return fetch_ ? fetch_->poll_note() : std::nullopt;
}

void Transfers::want_shards(
    Instant now, const std::vector<ShardId>& shards, const ShardTransfer::Last& last
) {
    shards_.want(now, shards, last);
}

void Transfers::set_holders(Instant now, std::vector<data::WeightedPeer> holders) {
    shards_.set_holders(now, std::move(holders));
}

bool Transfers::handle_frame(
    Instant now, const PeerId& from, FrameType type, ByteView payload, const Serving& serving
) {
    switch (type) {
        case FrameType::StateInfoRequest:
            donor_.handle_info_request(from, serving.ready, serving.schedule_step);
            return false;
        case FrameType::StateRequest:
        case FrameType::ShardRequest:
            if (serving.overloaded || !waiting_.put(from, type, payload)) {
                answer(from, type, payload, true);
            }
            return false;
        case FrameType::StateInfo:
            if (fetch_) fetch_->handle_info(now, from, payload);
            return false;
        case FrameType::StateChunk:
            if (fetch_) fetch_->handle_chunk(now, from, payload);
            return false;
        case FrameType::ShardPiece:
            return !cache_.handle_piece(from, payload) && shards_.handle_piece(now, from, payload);
        default:
            return false;
    }
}

void Transfers::answer(const PeerId& from, FrameType type, ByteView payload, bool refuse) {
    if (type == FrameType::StateRequest) {
        donor_.handle_request(from, payload, refuse);
    } else {
        shards_.handle_request(from, payload, refuse);
    }
}

bool Transfers::serve(const Serving& serving, const std::function<bool(const PeerId&)>& room) {
    const auto request = waiting_.take(room);
    if (!request) return false;
    // Whoever began to fetch before our parameters went bad must not get the bad ones.
    const bool refuse = request->type == FrameType::StateRequest && !serving.ready;
    answer(request->from, request->type, request->payload, refuse);
    return true;
}

void Transfers::handle_broken(Instant now, const PeerId& partner) {
    waiting_.forget(partner);
    shards_.handle_broken(now, partner);
    if (fetch_) fetch_->handle_broken(now, partner);
}

void Transfers::handle_timeout(Instant now) {
    shards_.handle_timeout(now);
    cache_.handle_timeout(now);
    if (fetch_) fetch_->handle_timeout(now);
}

std::optional<Instant> Transfers::timeout() const {
    auto next = fetch_ ? fetch_->timeout() : std::nullopt;
    for (const auto at : {shards_.timeout(), cache_.timeout()}) {
        if (at && (!next || *at < *next)) next = at;
    }
    return next;
}

}  // namespace starling::peer
