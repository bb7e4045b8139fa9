#include "peer/session/settling.hpp"

#include <algorithm>

namespace starling::peer {

namespace {

constexpr Duration kRetry = std::chrono::milliseconds(10);
/// The news of the end takes about a second to reach everybody; a record may be outdated longer.
constexpr Duration kWaitForOthers = std::chrono::seconds(3);
/// We wait for the partner whose turn it is for this long while it is busy; then anybody will do.
constexpr Duration kWaitForOne = std::chrono::milliseconds(200);
/// With more partners than this, a random one was hardly ever met lately, so nobody has a turn.
constexpr std::size_t kTurnsMax = 64;
/// Different partners that must agree with us before we are settled, if there are as many.
constexpr std::size_t kAgreeingPartners = 8;

/// Returns the encoding for settling. The lattice's step shrinks with the distance, so its rounding
/// vanishes too, at a quarter of the bytes. The rounding of bf16 stays, above the usual tolerance.
gossip::Encoding settling_encoding(gossip::Encoding training) {
    const bool lattice =
        training == gossip::Encoding::Lattice8 || training == gossip::Encoding::Lattice4;
    return lattice ? gossip::Encoding::Lattice8 : gossip::Encoding::F32;
}

}  // namespace

void Settling::begin(Instant now, gossip::Encoding encoding) {
    due_ = begun_ = engaged_at_ = now;
    met_.clear();
    averager_.set_encoding(settling_encoding(encoding));
    averager_.set_settling(true);
}

void Settling::end(gossip::Encoding encoding) {
    stop();
    averager_.set_encoding(encoding);
    averager_.set_settling(false);
}

void Settling::handle_exchange(Instant now, const gossip::ExchangeEvent& event) {
    if (!due_) return;
    const bool committed = event.outcome == gossip::Outcome::Committed;
    if (committed) engaged_at_ = now;
    // A ghost's exchange is one-sided, so it shows no agreement.
    if (committed && event.rule != gossip::Rule::Pull) {
        const bool near = event.relative_distance < tolerance_;
        // A larger distance has just moved us, so what others agreed to is out of date.
        if (!near) {
            for (auto& met : met_) met.agrees = false;
        }
        std::erase_if(met_, [&](const Met& met) { return met.partner == event.partner; });
        met_.push_back(Met{event.partner, ++exchanges_, near});
    }
    due_ = committed ? now : now + kRetry;
}

void Settling::update(
    std::span<const PeerId> partners, bool others_train, std::span<const PeerId> unasked
) {
    partners_.assign(partners.begin(), partners.end());
    unasked_.assign(unasked.begin(), unasked.end());
    others_train_ = others_train;
}

bool Settling::agreed() const {
    const auto agreeing = static_cast<std::size_t>(std::count_if(
        partners_.begin(),
        partners_.end(),
        [this](const PeerId& partner) { return last_meeting(partner).agrees; }
    ));
    return !others_train_ && agreeing >= std::min(partners_.size(), kAgreeingPartners);
}

/// Returns what we remember of a partner. One that we have not met since we began has exchange 0
/// and does not agree.
Settling::Met Settling::last_meeting(const PeerId& peer) const {
    const auto found =
        std::find_if(met_.begin(), met_.end(), [&](const Met& met) { return met.partner == peer; });
    return found == met_.end() ? Met{peer, 0, false} : *found;
}

/// Chooses the partners not to ask: those that agree and, if asked for, all others but those that
/// we met longest ago, because two peers that have just exchanged gain little by another exchange.
void Settling::leave_out(bool all_but_the_longest_unmet) {
    except_ = unasked_;
    std::uint64_t longest = exchanges_;
    for (const auto& partner : partners_) {
        const Met met = last_meeting(partner);
        if (!met.agrees) longest = std::min(longest, met.at);
    }
    for (const auto& partner : partners_) {
        const Met met = last_meeting(partner);
        const bool later = all_but_the_longest_unmet && met.at > longest;
        if (later || met.agrees) except_.push_back(partner);
    }
}

void Settling::handle_timeout(Instant now) {
    if (!due_ || *due_ > now) return;
    // If nothing can begin now, perhaps no event brings us back here, so look again soon.
    due_ = now + kRetry;
    // Take part in one exchange at a time in either role, so that pairs form and part. Peers that
    // ask while they answer would close into a ring in which each meets only its two neighbours.
    const bool engaged = averager_.initiating() || averager_.responding();
    const bool early = others_train_ && now - begun_ < kWaitForOthers;
    if (engaged || early) {
        engaged_at_ = now;
        return;
    }
    leave_out(partners_.size() <= kTurnsMax && now - engaged_at_ < kWaitForOne);
    (void)averager_.begin_exchange(now, except_);
}

}  // namespace starling::peer
