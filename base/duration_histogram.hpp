#pragma once

// Counts durations in buckets. /metrics shows them as a histogram.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/instant.hpp"

namespace starling {

/// Thread    one
class DurationHistogram {
public:
    /// Upper bounds of the buckets. One more bucket counts the durations above the last bound.
    static constexpr std::array kBounds = std::to_array<std::chrono::microseconds>(
        {std::chrono::microseconds(200),
         std::chrono::microseconds(500),
         std::chrono::milliseconds(1),
         std::chrono::milliseconds(2),
         std::chrono::milliseconds(5),
         std::chrono::milliseconds(10),
         std::chrono::milliseconds(20),
         std::chrono::milliseconds(50),
         std::chrono::milliseconds(100),
         std::chrono::milliseconds(500)}
    );

    void add(Duration time) {
        const auto bucket = std::find_if(kBounds.begin(), kBounds.end(), [time](Duration bound) {
            return time <= bound;
        });
        ++counts_[static_cast<std::size_t>(bucket - kBounds.begin())];
        ++count_;
        sum_ += time;
        max_ = std::max(max_, time);
    }

    /// Returns how many durations were at most the bucket's bound; for the last bucket, all.
    [[nodiscard]] std::uint64_t up_to(std::size_t bucket) const {
        std::uint64_t total = 0;
        for (std::size_t i = 0; i <= bucket; ++i) total += counts_[i];
        return total;
    }

    [[nodiscard]] std::uint64_t count() const { return count_; }

    [[nodiscard]] Duration sum() const { return sum_; }

    [[nodiscard]] Duration max() const { return max_; }

private:
    std::array<std::uint64_t, kBounds.size() + 1> counts_{};
    std::uint64_t count_ = 0;
    Duration sum_{};
    Duration max_{};
};

}  // namespace starling
