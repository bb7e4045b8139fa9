#include "peer/session/quota.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace starling::peer {

namespace {

/// Far above what any swarm trains on, and exact in a double.
constexpr double kTargetMax = 9007199254740992.0;  // 2^53

std::optional<std::uint64_t> target_of(const Until& until, std::uint64_t train_samples) {
    double target = until.value;
    if (until.kind == UntilKind::Epochs) target *= static_cast<double>(train_samples);
    if (until.kind != UntilKind::Epochs && until.kind != UntilKind::Samples) return std::nullopt;
    return static_cast<std::uint64_t>(std::ceil(std::min(target, kTargetMax)));
}

}  // namespace

Quota::Quota(const Until& until, std::uint64_t train_samples, std::uint32_t batch)
    : target_(target_of(until, train_samples)),
      batch_(batch) {
    if (target_) limit_ = 0;
}

bool Quota::update(Instant now, const Inputs& inputs, const SwarmView& view) {
    if (!target_) return false;
    std::vector<const SeenPeer*> others;
    // What we know includes the samples of those that train no more.
    std::vector<Word> words{{inputs.self, inputs.others}};
    for (const auto& peer : view.others) {
        if (!peer.trains() || peer.record->state != PeerState::Training) continue;
        if (peer.record->shards == 0) continue;
        others.push_back(&peer);
        words.emplace_back(peer.id, peer.record->samples);
    }
    if (inputs.trains && !trains_since_) trains_since_ = now;
    const bool fresh = !trains_since_ || now - *trains_since_ <= kWordMax;
    const bool cautious = fresh && view.live > 1;
    const bool rests = used_up(inputs.own);
    const bool news = words != words_ || cautious != cautious_;
    if (news) news_at_ = now;
    const bool silent = rests && !cautious && now - news_at_ > kPatience;
    if (!news && !(rests && now - news_at_ > kWordMax)) return false;
    words_ = std::move(words);
    cautious_ = cautious;
    const auto base = news ? inputs.own_word : inputs.own;
    const auto left = *target_ - std::min(*target_, base + inputs.others);
    const auto batches = (left + batch_ - 1) / batch_;
    auto ours = silent ? batches : share(batches, inputs, others);
    if (cautious) ours /= kCaution;
    const auto before = std::exchange(limit_, base + ours * batch_);
    return limit_ != before;
}

std::uint64_t Quota::share(
    std::uint64_t batches, const Inputs& inputs, std::span<const SeenPeer* const> others
) const {
    const auto peers = others.size() + 1;
    double rates = inputs.own_rate;
    bool known = inputs.own_rate > 0.0;
    for (const auto* peer : others) {
        const auto rate = static_cast<double>(peer->record->samples_per_s);
        known = known && rate > 0.0;
        rates += rate;
    }
    // A faster peer gets more, so that nobody waits for long. The last few batches go to those with
    // the lowest ids: rates that two peers see a little differently would leave one to nobody.
    if (known && std::isfinite(rates) && batches > peers) {
        return static_cast<std::uint64_t>(static_cast<double>(batches) * inputs.own_rate / rates);
    }
    const auto rank = static_cast<std::size_t>(std::count_if(
        others.begin(), others.end(), [&](const SeenPeer* peer) { return peer->id < inputs.self; }
    ));
    return batches / peers + (rank < batches % peers ? 1 : 0);
}

}  // namespace starling::peer
