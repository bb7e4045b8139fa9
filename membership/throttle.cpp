#include "membership/throttle.hpp"

#include <algorithm>

namespace starling::membership {

namespace {

/// Most suspicions at once: a handful, and a quarter of the swarm for the day when a site goes
/// dark.
constexpr double kBurstMin = 16.0;
constexpr double kBurstShare = 0.25;
/// Time in which a whole burst is refilled.
constexpr double kRefillSeconds = 10.0;
/// Senders remembered; above it all are forgotten, which lets each have one more burst.
constexpr std::size_t kSendersMax = 1024;

}  // namespace

bool Throttle::admit(Instant now, const ShortId& sender, std::size_t members) {
    if (used_.size() >= kSendersMax && !used_.contains(sender.value)) used_.clear();
    const double burst = kBurstMin + kBurstShare * static_cast<double>(members);
    const auto [place, added] = used_.try_emplace(sender.value, Use{0.0, now});
    auto& use = place->second;
    const double refilled = to_seconds(now - use.at) * burst / kRefillSeconds;
    use.tokens = std::max(0.0, use.tokens - refilled);
    use.at = now;
    if (use.tokens + 1.0 > burst) return false;
    use.tokens += 1.0;
    return true;
}

}  // namespace starling::membership
