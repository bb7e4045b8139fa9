#include "peer/session/cross_check.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string_view>

namespace starling::peer {

namespace {

/// So many deviations are no chance: one in 1.7 million.
constexpr double kDeviations = 5.0;
/// Models of peers that agree differ this much besides: of all samples, and of a loss or a quality.
constexpr double kCountsApart = 0.002;
constexpr double kValuesApart = 0.02;
/// With fewer portions nobody knows how far apart they are by chance.
constexpr std::size_t kPortionsLeast = 3;

using Value = std::function<std::optional<double>(const PortionValues&)>;

std::optional<double> loss_of(const PortionValues& found) {
    return found.result.samples > 0 ? std::optional(found.result.loss()) : std::nullopt;
}

std::string line(std::string_view name, double theirs, double ours, std::uint64_t samples) {
    char text[160];
    std::snprintf(
        text,
        sizeof text,
        "%.*s %.4g of %llu samples of which we have found %.4g",
        static_cast<int>(name.size()),
        name.data(),
        theirs,
        static_cast<unsigned long long>(samples),
        ours
    );
    return text;
}

/// Right answers are counted, so chance is that of a binomial distribution.
std::optional<std::string> compare_accuracy(
    const PortionFindings& ours, const PortionFindings& theirs
) {
    double own = 0.0;
    double other = 0.0;
    std::uint64_t samples = 0;
    for (const auto& [portion, found] : theirs) {
        const auto at = ours.find(portion);
        if (at == ours.end() || !found.result.has_accuracy || found.result.samples == 0) continue;
        if (!at->second.result.has_accuracy || at->second.result.samples == 0) continue;
        const auto counted = static_cast<double>(at->second.result.samples);
        samples += at->second.result.samples;
        own += counted * at->second.result.accuracy();
        other += counted * found.result.accuracy();
    }
    if (samples == 0) return std::nullopt;
    const auto all = static_cast<double>(samples);
    const double right = (own + other) / (2.0 * all);
    const double deviation = std::sqrt(std::max(1.0, all * right * (1.0 - right)));
    if (std::abs(other - own) <= kDeviations * deviation + kCountsApart * all) return std::nullopt;
    return line("accuracy", other / all, own / all, samples);
}

/// How far portions of ours are apart tells how much another draw of samples would change.
std::optional<std::string> compare_values(
    std::string_view name,
    const Value& value,
    const PortionFindings& ours,
    const PortionFindings& theirs
) {
    double sum = 0.0;
    double squares = 0.0;
    std::size_t count = 0;
    for (const auto& [portion, found] : ours) {
        const auto own = value(found);
        if (!own) continue;
        sum += *own;
        squares += *own * *own;
        ++count;
    }
    if (count < kPortionsLeast) return std::nullopt;
    const auto n = static_cast<double>(count);
    const double mean = sum / n;
    const double deviation = std::sqrt(std::max(0.0, squares - n * mean * mean) / (n - 1.0));
    double own_sum = 0.0;
    double other_sum = 0.0;
    double common = 0.0;
    std::uint64_t samples = 0;
    for (const auto& [portion, found] : theirs) {
        const auto at = ours.find(portion);
        if (at == ours.end()) continue;
        const auto own = value(at->second);
        const auto other = value(found);
        if (!own || !other) continue;
        own_sum += *own;
        other_sum += *other;
        common += 1.0;
        samples += at->second.result.samples;
    }
    if (common == 0.0) return std::nullopt;
    const double apart = std::abs(other_sum - own_sum) / common;
    const double chance =
        kDeviations * deviation / std::sqrt(common) + kValuesApart * std::abs(mean);
    if (apart <= chance) return std::nullopt;
    return line(name, other_sum / common, own_sum / common, samples);
}

bool overlap(const PortionFindings& ours, const PortionFindings& theirs) {
    return std::any_of(theirs.begin(), theirs.end(), [&ours](const auto& entry) {
        const auto at = ours.find(entry.first);
        return entry.second.result.samples > 0 && at != ours.end() && at->second.result.samples > 0;
    });
}

}  // namespace

CrossCheck cross_check(
    const PortionFindings& ours,
    const std::map<PeerId, PortionFindings>& others,
    compute::QualityKind kind
) {
    CrossCheck check;
    for (const auto& [peer, theirs] : others) {
        if (!overlap(ours, theirs)) continue;
        ++check.compared;
        auto what = compare_accuracy(ours, theirs);
        if (!what) what = compare_values("loss", &loss_of, ours, theirs);
        if (!what) {
            what = compare_values(
                compute::to_string(kind),
                [](const PortionValues& found) { return found.quality; },
                ours,
                theirs
            );
        }
        if (what) check.suspects.push_back({peer, std::move(*what)});
    }
    check.we_differ = check.suspects.size() > 1 && 2 * check.suspects.size() > check.compared;
    if (check.we_differ) check.suspects.clear();
    return check;
}

}  // namespace starling::peer
