#include "peer/session/arrival.hpp"

#include <utility>

namespace starling::peer {

ArrivalStep Arrival::advance(Instant now, const ArrivalInputs& inputs) {
    if (inputs.trainers) trainers_at_ = now;
    if (inputs.chunks != chunks_) news_at_ = now;
    chunks_ = inputs.chunks;
    if (!inputs.alone || !inputs.prepared) company_at_ = now;
    if (inputs.fetching) {
        if (now - trainers_at_ > kNoDonorMax) return ArrivalStep::FromSeed;
        if (inputs.trainers && now - news_at_ > kNoChunkMax) return ArrivalStep::FromNothing;
    } else if (inputs.prepared && inputs.data) {
        return ArrivalStep::Train;
    }
    return now - company_at_ < kDesertedMax ? ArrivalStep::Wait : ArrivalStep::Deserted;
}

bool Readiness::advance(const Inputs& inputs) {
    if (enough_) return false;
    if (inputs.ready < wait_for_ && !inputs.begun) {
        if (inputs.ready == told_ || !inputs.ours) return false;
        told_ = inputs.ready;
        news_ = inputs.ready;
        return false;
    }
    enough_ = true;
    return true;
}

std::optional<std::size_t> Readiness::poll_news() {
    return std::exchange(news_, std::nullopt);
}

}  // namespace starling::peer
