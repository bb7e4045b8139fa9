#include "membership/claim_pool.hpp"

#include "base/rng.hpp"

namespace starling::membership {

std::size_t ClaimPool::Hash::operator()(const Ref::Slot& slot) const noexcept {
    const auto& claim = slot.claim;
    const auto life = mix64(claim.incarnation.epoch ^ mix64(claim.incarnation.counter));
    return static_cast<std::size_t>(claim.subject.prefix64() ^ life);
}

bool ClaimPool::Equal::operator()(const Ref::Slot& a, const Ref::Slot& b) const noexcept {
    return a.claim == b.claim;
}

ClaimPool::Ref ClaimPool::intern(const Statement& claim) {
    const auto [place, added] = slots_.insert(Ref::Slot{claim, this, 0});
    return Ref(&*place);
}

void ClaimPool::Ref::release(const Slot* slot) {
    if (--slot->refs > 0) return;
    auto& slots = slot->pool->slots_;
    slots.erase(slots.find(*slot));
}

}  // namespace starling::membership
