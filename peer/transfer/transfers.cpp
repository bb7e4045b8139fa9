#include "peer/transfer/transfers.hpp"

#include <utility>

#include "peer/machine/clock.hpp"

namespace starling::peer {

Transfers::Transfers(
    Loop& loop,
    data::ShardStore& shards,
    compute::ParameterStore& parameters,
    const LayoutHash& layout,
    const SendFrame& send
)
    : parameters_(parameters),
      layout_(layout),
      send_(send),
      shards_(shards, send),
      donor_(parameters, layout, send),
      timer_(loop, [this] { handle_timeout(); }) {}

void Transfers::fetch_state() {
    fetch_ = std::make_unique<StateFetch>(parameters_, layout_, send_);
}

void Transfers::end_state() {
    fetch_.reset();
}

std::optional<std::uint64_t> Transfers::donors_schedule_step() const {
    if (!fetch_) return std::nullopt;
    return fetch_->schedule_step();
}

void Transfers::set_donors(std::vector<PeerId> donors) {
    if (fetch_) fetch_->set_candidates(real_now(), std::move(donors));
    arm();
}

void Transfers::want_shards(const std::vector<ShardId>& shards) {
    shards_.want(real_now(), shards);
}

void Transfers::set_holders(std::vector<data::WeightedPeer> holders) {
    shards_.set_holders(real_now(), std::move(holders));
    arm();
}

bool Transfers::handle_frame(
    const PeerId& from, FrameType type, ByteView payload, const Serving& serving
) {
    const Instant now = real_now();
    bool shard_came = false;
    switch (type) {
        case FrameType::StateInfoRequest:
            donor_.handle_info_request(from, serving.ready, serving.schedule_step);
            return false;
        case FrameType::StateRequest:
            donor_.handle_request(from, payload, serving.overloaded);
            return false;
        case FrameType::ShardRequest:
            shards_.handle_request(from, payload, serving.overloaded);
            return false;
        case FrameType::StateInfo:
            if (fetch_) fetch_->handle_info(now, from, payload);
            break;
        case FrameType::StateChunk:
            if (fetch_) fetch_->handle_chunk(now, from, payload);
            break;
        case FrameType::ShardPiece:
            shard_came = shards_.handle_piece(now, from, payload);
            break;
        default:
            return false;
    }
    arm();
    return shard_came;
}

void Transfers::handle_broken(const PeerId& partner) {
    shards_.handle_broken(real_now(), partner);
    if (fetch_) fetch_->handle_broken(real_now(), partner);
    arm();
}

void Transfers::handle_timeout() {
    shards_.handle_timeout(real_now());
    if (fetch_) fetch_->handle_timeout(real_now());
    arm();
}

void Transfers::arm() {
    auto next = shards_.timeout();
    if (fetch_) {
        const auto other = fetch_->timeout();
        if (other && (!next || *other < *next)) next = other;
    }
    if (next) timer_.arm(*next);
}

}  // namespace starling::peer
