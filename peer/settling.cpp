#include "peer/settling.hpp"

#include <algorithm>

#include "peer/clock.hpp"

namespace starling::peer {

namespace {

constexpr Duration kRetry = std::chrono::milliseconds(10);
/// News of the end takes a second or so to reach everybody; a record may also be stale for longer.
constexpr Duration kWaitForOthers = std::chrono::seconds(3);
/// Different partners that must agree with us before we are settled, where there are as many.
constexpr std::size_t kAgreeingPartners = 8;

/// What peers that settle exchange in. The lattice's step follows the distance down, so its
/// rounding vanishes with it, at a quarter of the bytes; that of bf16 stays, above the usual
/// tolerance.
gossip::Encoding settling_encoding(gossip::Encoding training) {
    const bool lattice =
        training == gossip::Encoding::Lattice8 || training == gossip::Encoding::Lattice4;
    return lattice ? gossip::Encoding::Lattice8 : gossip::Encoding::F32;
}

}  // namespace

Settling::Settling(Loop& loop, GossipDriver& gossip, double tolerance)
    : gossip_(gossip),
      tolerance_(tolerance),
      timer_(loop, [this] { next(); }) {}

void Settling::begin(gossip::Encoding encoding) {
    active_ = true;
    begun_ = real_now();
    agreeing_.clear();
    last_.reset();
    gossip_.set_encoding(settling_encoding(encoding));
    gossip_.set_settling(true);
    timer_.arm_after(Duration::zero());
}

void Settling::end(gossip::Encoding encoding) {
    stop();
    gossip_.set_encoding(encoding);
    gossip_.set_settling(false);
}

void Settling::stop() {
    active_ = false;
    timer_.cancel();
}

void Settling::on_exchange(const gossip::ExchangeEvent& event) {
    const bool committed = event.outcome == gossip::Outcome::Committed;
    // A ghost's exchange is one-sided: it shows no agreement.
    if (committed && event.rule != gossip::Rule::Pull) {
        last_ = event.partner;
        const auto known = std::find(agreeing_.begin(), agreeing_.end(), event.partner);
        if (event.relative_distance >= tolerance_) {
            // A larger distance has just moved us, so what the others agreed to is stale.
            agreeing_.clear();
        } else if (known == agreeing_.end()) {
            agreeing_.push_back(event.partner);
        }
    }
    if (active_) timer_.arm_after(committed ? Duration::zero() : kRetry);
}

void Settling::member_down(const PeerId& peer) {
    std::erase(agreeing_, peer);
}

void Settling::set_others_train(bool others_train) {
    others_train_ = others_train;
}

bool Settling::agreed(std::size_t partners) const {
    return !others_train_ && agreeing_.size() >= std::min(partners, kAgreeingPartners);
}

void Settling::next() {
    if (!active_) return;
    // One exchange at a time in either role: pairs then form and part. Peers that ask while they
    // answer would close into a ring in which nobody meets but its two neighbours.
    const auto& averager = gossip_.averager();
    const bool engaged = averager.initiating() || averager.responding();
    const bool early = others_train_ && real_now() - begun_ < kWaitForOthers;
    except_ = agreeing_;
    // Equals have nothing to give each other, so the one met last comes again after another.
    if (last_ && averager.partner_count() > 1) except_.push_back(*last_);
    // Where nothing can begin now, no event may bring us back here.
    if (engaged || early || !gossip_.begin_exchange(except_)) timer_.arm_after(kRetry);
}

}  // namespace starling::peer
