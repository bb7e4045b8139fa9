#include "data/tables/magnitudes.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.hpp"

namespace starling::data {

namespace {

/// The bits of a double that are left of a bin's: the exponent and three bits of the fraction. Of
/// positive doubles the bits ascend with the value.
constexpr unsigned kDropped = 49;
constexpr double kLeast = 0x1p-64;
constexpr double kMost = 0x1.fp63;

double begin_of(std::uint64_t key) {
    return std::bit_cast<double>(key << kDropped);
}

}  // namespace

std::uint64_t Magnitudes::key_of(double value) {
    return std::bit_cast<std::uint64_t>(std::clamp(std::abs(value), kLeast, kMost)) >> kDropped;
}

std::uint64_t& Magnitudes::count_of(std::uint64_t key) {
    if (counts_.empty()) first_ = key;
    if (key < first_) {
        counts_.insert(counts_.begin(), first_ - key, 0);
        first_ = key;
    }
    if (key - first_ >= counts_.size()) counts_.resize(key - first_ + 1);
    return counts_[key - first_];
}

void Magnitudes::add(const Magnitudes& other) {
    for (std::size_t i = 0; i < other.counts_.size(); ++i) {
        if (other.counts_[i] > 0) count_of(other.first_ + i) += other.counts_[i];
    }
}

std::uint64_t Magnitudes::count() const {
    std::uint64_t sum = 0;
    for (const auto count : counts_) sum += count;
    return sum;
}

double Magnitudes::quantile(double share) const {
    STARLING_CHECK(share >= 0.0 && share <= 1.0);
    const auto all = count();
    if (all == 0) return 0.0;
    const auto place =
        std::min(all - 1, static_cast<std::uint64_t>(static_cast<double>(all) * share));
    std::uint64_t before = 0;
    std::size_t bin = 0;
    while (before + counts_[bin] <= place) before += counts_[bin++];
    const auto key = first_ + bin;
    return 0.5 * (begin_of(key) + begin_of(key + 1));
}

}  // namespace starling::data
