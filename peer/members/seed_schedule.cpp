#include "peer/members/seed_schedule.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/planted_fault.hpp"

namespace starling::peer {

namespace {

constexpr Duration kFirstWait = std::chrono::milliseconds(500);
/// If a hundred peers lose the same seed, it sees some three dials a second.
constexpr Duration kLastWait = std::chrono::seconds(30);
/// After this time we check again whether a seed that was alive still is.
constexpr Duration kAliveWait = std::chrono::seconds(5);
constexpr std::size_t kDialsAtOnce = 8;

}  // namespace

void SeedSchedule::add(Instant now, const Endpoint& address) {
    if (plans_.size() < kSeedsMax) plans_.try_emplace(address, Plan{now, kFirstWait, false});
}

Duration SeedSchedule::jittered(Duration wait) {
    return from_seconds(to_seconds(wait) * (0.75 + 0.5 * rng_.uniform()));
}

std::vector<Endpoint> SeedSchedule::take_due(
    Instant now, const std::function<bool(const Endpoint&)>& alive
) {
    std::vector<Endpoint> dial;
    for (auto& [address, plan] : plans_) {
        if (plan.due > now || dial.size() >= kDialsAtOnce) continue;
        if (plan.met && planted(PlantedFault::NoHealing)) {
            plan.due = now + kLastWait;
            continue;
        }
        if (alive(address)) {
            plan = {now + jittered(kAliveWait), kFirstWait, true};
            continue;
        }
        dial.push_back(address);
        plan.due = now + jittered(plan.wait);
        plan.wait = std::min(2 * plan.wait, kLastWait);
    }
    return dial;
}

Instant SeedSchedule::next() const {
    STARLING_CHECK(!plans_.empty());
    const auto first = std::min_element(plans_.begin(), plans_.end(), [](auto& a, auto& b) {
        return a.second.due < b.second.due;
    });
    return first->second.due;
}

}  // namespace starling::peer
