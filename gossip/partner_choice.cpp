#include "gossip/partner_choice.hpp"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/check.hpp"
#include "base/doubled.hpp"

namespace starling::gossip {
namespace {

Duration next_backoff(Duration last, Duration first, Duration most) {
    return std::min(most, std::max(first, 2 * last));
}

}  // namespace

PartnerChoice::Partner* PartnerChoice::find(const PeerId& peer) {
    const auto at = std::lower_bound(
        partners_.begin(),
        partners_.end(),
        peer,
        [](const Partner& partner, const PeerId& id) { return partner.id < id; }
    );
    return at != partners_.end() && at->id == peer ? &*at : nullptr;
}

bool PartnerChoice::contains(const PeerId& peer) const {
    return std::binary_search(
        partners_.begin(),
        partners_.end(),
        Partner{peer},
        [](const Partner& a, const Partner& b) { return a.id < b.id; }
    );
}

void PartnerChoice::add(const PeerId& peer) {
    if (auto* known = find(peer)) {
        *known = Partner{peer, known->met};
        return;
    }
    const auto at = std::upper_bound(
        partners_.begin(),
        partners_.end(),
        peer,
        [](const PeerId& id, const Partner& partner) { return id < partner.id; }
    );
    partners_.insert(at, Partner{peer});
}

void PartnerChoice::remove(const PeerId& peer) {
    std::erase_if(partners_, [&](const Partner& partner) { return partner.id == peer; });
}

std::optional<PeerId> PartnerChoice::choose(Instant now, Rng& rng, std::span<const PeerId> except) {
    const auto excepted = [&](const Partner& partner) {
        const bool named = std::find(except.begin(), except.end(), partner.id) != except.end();
        return named || barred(now, partner.id);
    };
    candidates_.clear();
    // The longest back-off of the partners that were busy; zero when none was.
    Duration pause{};
    for (const auto& partner : partners_) {
        if (excepted(partner)) continue;
        if (partner.owed(now)) pause = std::max(pause, partner.backoff);
        candidates_.push_back(&partner);
    }
    std::erase_if(candidates_, [&](const Partner* partner) {
        const bool resting = partner->not_before && now < *partner->not_before;
        return resting || (partner->met && now < *partner->met + pause);
    });
    const auto owed = [now](const Partner* partner) { return partner->owed(now); };
    if (std::any_of(candidates_.begin(), candidates_.end(), owed)) {
        std::erase_if(candidates_, std::not_fn(owed));
    }
    if (candidates_.empty()) return std::nullopt;
    return rng.pick(std::span<const Partner* const>(candidates_))->id;
}

std::optional<PeerId> PartnerChoice::scheduled(
    const PeerId& self, std::uint64_t seed, std::uint64_t round
) const {
    std::vector<PeerId> order{self};
    for (const auto& partner : partners_) order.push_back(partner.id);
    if (order.size() < 2) return std::nullopt;
    std::sort(order.begin(), order.end());
    const auto bits = static_cast<std::uint64_t>(std::bit_width(order.size() - 1));
    STARLING_CHECK(bits > 0);
    // Of a power of two everybody has a partner, and one order for all rounds keeps peers in step: a
    // pair that met twice in a row could go on without the others.
    const bool whole = std::has_single_bit(order.size());
    Rng(mix64(seed) ^ mix64(whole ? 0 : round / bits)).shuffle(std::span(order));
    const auto place =
        static_cast<std::size_t>(std::find(order.begin(), order.end(), self) - order.begin());
    const std::size_t other = place ^ (std::size_t{1} << (round % bits));
    if (other >= order.size()) return std::nullopt;
    return order[other];
}

void PartnerChoice::struck(Instant now, const PeerId& peer) {
    if (strikes_ == 0) return;
    auto found = std::find_if(struck_.begin(), struck_.end(), [&](const Struck& struck) {
        return struck.id == peer;
    });
    if (found == struck_.end()) {
        if (struck_.size() == kStruckMax) {
            struck_.erase(std::min_element(
                struck_.begin(),
                struck_.end(),
                [](const Struck& a, const Struck& b) { return a.until < b.until; }
            ));
        }
        found = struck_.insert(struck_.end(), Struck{peer, 0, now});
    }
    ++found->strikes;
    if (found->strikes < strikes_) return;
    found->until = now + doubled(kBarred, found->strikes - strikes_, kBarredMax);
}

bool PartnerChoice::barred(Instant now, const PeerId& peer) const {
    return std::any_of(struck_.begin(), struck_.end(), [&](const Struck& struck) {
        return struck.id == peer && struck.strikes >= strikes_ && now < struck.until;
    });
}

void PartnerChoice::succeeded(Instant now, const PeerId& peer) {
    // One strike for one success: a partner that does harm each second time does not get away with it
    // for ever, and one that did so once is trusted again.
    for (auto& struck : struck_) {
        if (struck.id == peer) --struck.strikes;
    }
    std::erase_if(struck_, [](const Struck& struck) { return struck.strikes == 0; });
    if (auto* partner = find(peer)) *partner = Partner{peer, now};
}

void PartnerChoice::was_busy(Instant now, const PeerId& peer) {
    if (auto* partner = find(peer)) {
        partner->backoff = next_backoff(partner->backoff, kBusyBackoff, kBusyBackoffMax);
        partner->not_before = now + partner->backoff;
        if (!partner->busy_since) partner->busy_since = now;
    }
}

void PartnerChoice::failed(Instant now, const PeerId& peer) {
    if (auto* partner = find(peer)) {
        partner->backoff = next_backoff(partner->backoff, kFailureBackoff, kFailureBackoffMax);
        partner->not_before = now + partner->backoff;
        partner->busy_since.reset();
    }
}

void PartnerChoice::refused(Instant now, const PeerId& peer) {
    if (auto* partner = find(peer)) partner->not_before = now + kRefusalBackoff;
}

}  // namespace starling::gossip
