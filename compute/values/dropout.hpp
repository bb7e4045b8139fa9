#pragma once

// Which elements a Dropout keeps. A keyed hash of the element's index decides, so that every device
// draws the same mask with any number of threads.

#include <cstddef>
#include <cstdint>

#include "base/rng.hpp"

namespace starling::compute {

class DropoutMask {
public:
    /// Makes the mask for the `run`-th run of a node with this seed.
    /// Requires  0 <= ratio < 1, the share of elements that are dropped
    DropoutMask(std::int64_t seed, double ratio, std::uint64_t run)
        : key_(mix64(mix64(static_cast<std::uint64_t>(seed)) + run)),
          scale_(static_cast<float>(1.0 / (1.0 - ratio))),
          threshold_(static_cast<std::uint32_t>(ratio * 4294967295.0)) {}

    /// Returns 0 or 1 / (1 - ratio).
    [[nodiscard]] float factor(std::size_t i) const {
        const auto draw = static_cast<std::uint32_t>(mix64(key_ + i) >> 32U);
        return draw < threshold_ ? 0.0F : scale_;
    }

    /// What decides, for devices that draw the mask themselves.
    [[nodiscard]] std::uint64_t key() const { return key_; }

    [[nodiscard]] float scale() const { return scale_; }

    [[nodiscard]] std::uint32_t threshold() const { return threshold_; }

private:
    std::uint64_t key_;
    float scale_;
    std::uint32_t threshold_;
};

}  // namespace starling::compute
