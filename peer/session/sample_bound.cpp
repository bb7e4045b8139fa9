#include "peer/session/sample_bound.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "peer/session/speed.hpp"

namespace starling::peer {

namespace {

/// Samples per second below which a rate is none.
constexpr double kRateMin = 1e-6;
constexpr double kUnits = 8.0;  // of a word of speed, in an octave

std::uint64_t samples_of(const SeenPeer& peer) {
    return peer.record ? peer.record->samples : 0;
}

/// Returns the lower median of the values.
template <class T>
T median(std::vector<T>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

std::uint64_t bounded(double value) {
    return value >= 9.0e18 ? std::uint64_t{9'000'000'000'000'000'000}
                           : static_cast<std::uint64_t>(std::max(0.0, value));
}

std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
    return a + std::min(b, ~std::uint64_t{0} - a);
}

/// Returns how many times as fast as the others the peer may be.
double speed_of(const SeenPeer& peer, std::optional<std::int16_t> usual) {
    if (!peer.record->speed) return 1.0;
    const double octaves = (*peer.record->speed - usual.value_or(*peer.record->speed)) / kUnits;
    return std::clamp(std::exp2(octaves), 1.0, SampleBound::kSpeedMax);
}

/// The rates of those that train, sorted: each is held against the median of all others, and their number
/// squared is too much in a large swarm.
class Rates {
public:
    void add(std::optional<double> rate) {
        if (rate) sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), *rate), *rate);
    }

    /// Requires  it was added
    void remove(std::optional<double> rate) {
        if (rate) sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), *rate));
    }

    /// Returns the lower median of all but one.
    /// Requires  that one was added
    [[nodiscard]] std::optional<double> median_without(std::optional<double> one) const {
        const auto count = sorted_.size() - (one ? 1 : 0);
        if (count == 0) return std::nullopt;
        auto middle = sorted_.begin() + static_cast<std::ptrdiff_t>((count - 1) / 2);
        if (one && middle >= std::lower_bound(sorted_.begin(), sorted_.end(), *one)) ++middle;
        return *middle;
    }

private:
    std::vector<double> sorted_;
};

}  // namespace

/// Returns the rate since we know it; nothing: it is too new, or does not train.
std::optional<double> SampleBound::rate_of(Instant now, const Seen& seen, std::uint64_t samples) {
    const double time = to_seconds(now - seen.since);
    if (time < 1.0 || samples <= seen.at_first) return std::nullopt;
    return static_cast<double>(samples - seen.at_first) / time;
}

std::uint64_t SampleBound::count(Instant now, const SwarmView& view, std::uint64_t own) {
    meet(now, view, own);
    const auto usual = usual_speed(view.training_peers());
    Rates rates;
    rates.add(rate_of(now, *own_, own));
    for (const auto& peer : view.others) {
        if (!peer.record) continue;
        const auto& seen = seen_.at(peer.id);
        rates.add(rate_of(now, seen, seen.counted));
    }
    std::uint64_t total = own;
    for (const auto& peer : view.others) {
        if (!peer.record) continue;
        auto& seen = seen_.at(peer.id);
        // Where nobody else trains there is nothing to compare with.
        const auto before = rate_of(now, seen, seen.counted);
        const auto rate = rates.median_without(before);
        auto& most = usual_[peer.id];
        most = std::max(most, rate.value_or(0.0));
        auto allowed = ~std::uint64_t{0};
        if (most > kRateMin) {
            const double speed = speed_of(peer, usual);
            const double time = to_seconds(now - seen.since) + kBurstSeconds;
            allowed = sum(seen.at_first, bounded(kSlack * speed * most * time));
        }
        seen.counted = std::max(seen.counted, std::min(peer.record->samples, allowed));
        rates.remove(before);
        rates.add(rate_of(now, seen, seen.counted));
        total = sum(total, seen.counted);
    }
    std::uint64_t listed = 0;
    const auto most = view.gone.empty() ? 0 : head_start_max(view, own);
    for (const auto& gone : view.gone) {
        listed = sum(listed, gone.samples);
        // Of those that went away we keep what counted when they were here.
        const auto known = seen_.find(gone.id);
        total =
            sum(total, known != seen_.end() ? known->second.counted : std::min(gone.samples, most));
    }
    return sum(total, view.gone_samples - std::min(view.gone_samples, listed));
}

/// Notes who is new, and forgets whom nobody knows any more.
void SampleBound::meet(Instant now, const SwarmView& view, std::uint64_t own) {
    if (!own_) own_ = Seen{now, own, own, true};
    for (auto& [id, seen] : seen_) seen.present = false;
    const auto most = head_start_max(view, own);
    for (const auto& peer : view.others) {
        if (!peer.record) continue;
        const auto first = std::min(samples_of(peer), most);
        const auto [place, added] = seen_.try_emplace(peer.id, Seen{now, first, first, true});
        place->second.present = true;
    }
    for (const auto& gone : view.gone) {
        if (const auto known = seen_.find(gone.id); known != seen_.end()) {
            known->second.present = true;
        }
    }
    std::erase_if(seen_, [](const auto& entry) { return !entry.second.present; });
    std::erase_if(usual_, [&](const auto& entry) { return !seen_.contains(entry.first); });
}

std::uint64_t SampleBound::head_start_max(const SwarmView& view, std::uint64_t own) const {
    std::vector<std::uint64_t> counts;
    const auto add = [&](std::uint64_t samples) {
        if (samples > 0) counts.push_back(samples);
    };
    add(own);
    for (const auto& peer : view.others) add(samples_of(peer));
    for (const auto& gone : view.gone) add(gone.samples);
    // One or two may be the liar and a newcomer: then there is nothing to compare with.
    if (counts.size() < 3) return ~std::uint64_t{0} / 4;
    return bounded(kHeadStartMax * static_cast<double>(median(counts)));
}

}  // namespace starling::peer
