#include "peer/scenario/tempo.hpp"

#include <algorithm>

namespace starling::scenario {
namespace {

/// Peers tell once a second how far they are. A step or an exchange somewhere should be in each of their words.
constexpr Duration kUsualGap = std::chrono::milliseconds(1500);
/// A driver that looks twice as rarely as it means to shares its core with many.
constexpr double kUsualLateness = 1.5;

}  // namespace

void Tempo::Gap::see(Instant now, std::uint64_t value) {
    if (!since || value != sum) {
        sum = value;
        since = now;
    }
    longest = std::max(longest, now - *since);
}

void Tempo::observe(Instant now, const View& view) {
    std::uint64_t steps = 0;
    std::uint64_t exchanges = 0;
    for (const auto& peer : view.peers) {
        steps += peer.steps;
        exchanges += peer.exchanges;
    }
    steps_.see(now, steps);
    if (view.active() >= 2) exchanges_.see(now, exchanges);
    if (!first_) first_ = now;
    last_ = now;
    ++looks_;
}

double Tempo::slowness() const {
    if (looks_ < 2) return 1;
    const double per_look = to_seconds(last_ - *first_) / static_cast<double>(looks_ - 1);
    const double lateness = per_look / to_seconds(kLook) / kUsualLateness;
    const double gap = to_seconds(std::max(steps_.longest, exchanges_.longest));
    return std::clamp(std::max(lateness, gap / to_seconds(kUsualGap)), 1.0, kSlownessMax);
}

}  // namespace starling::scenario
