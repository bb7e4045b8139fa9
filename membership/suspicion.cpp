#include "membership/suspicion.hpp"

#include <algorithm>
#include <cmath>

namespace starling::membership {

Duration suspicion_timeout(const SwimConfig& config, std::size_t n) {
    const double scale = std::max(1.0, std::log10(std::max(1.0, static_cast<double>(n))));
    return from_seconds(config.suspicion_mult * scale * to_seconds(config.probe_interval));
}

void Suspicions::start(const PeerId& id, Instant deadline) {
    cancel(id);
    deadlines_.emplace(id, deadline);
    by_deadline_.emplace(deadline, id);
}

void Suspicions::cancel(const PeerId& id) {
    const auto found = deadlines_.find(id);
    if (found == deadlines_.end()) return;
    by_deadline_.erase({found->second, id});
    deadlines_.erase(found);
}

void Suspicions::postpone(Instant earliest) {
    while (!by_deadline_.empty() && by_deadline_.begin()->first < earliest) {
        const PeerId id = by_deadline_.begin()->second;
        start(id, earliest);
    }
}

std::optional<PeerId> Suspicions::take_expired(Instant now) {
    if (by_deadline_.empty() || by_deadline_.begin()->first > now) return std::nullopt;
    const PeerId id = by_deadline_.begin()->second;
    cancel(id);
    return id;
}

std::optional<Instant> Suspicions::next_deadline() const {
    if (by_deadline_.empty()) return std::nullopt;
    return by_deadline_.begin()->first;
}

}  // namespace starling::membership
