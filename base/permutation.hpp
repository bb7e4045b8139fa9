#pragma once

// A seeded order of many things that takes no memory, where a shuffled list of ten million would take
// forty megabytes.
//
// Source: Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (CT-RSA 2002): a Feistel network
// (section 5) over a power of four, walked until it falls into the domain (section 4).

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace starling {

/// Thread    any (pure)
class Permutation {
public:
    Permutation(std::uint64_t count, std::uint64_t seed) : count_(count) {
        while ((std::uint64_t{1} << (2 * half_)) < count) ++half_;
        // A few rounds over a few bits leave most orders out.
        rounds_ = half_ < kSmallHalf ? kRoundsMax : kRounds;
        for (std::size_t i = 0; i < kRoundsMax; ++i) keys_[i] = mix64(seed + i);
    }

    /// Returns which thing comes at this place; each comes at one.
    /// Requires  place < count
    [[nodiscard]] std::uint64_t operator()(std::uint64_t place) const {
        STARLING_CHECK(place < count_);
        do {
            place = turn(place);
        } while (place >= count_);
        return place;
    }

private:
    static constexpr std::size_t kRounds = 4;
    static constexpr std::size_t kRoundsMax = 12;
    static constexpr unsigned kSmallHalf = 8;

    [[nodiscard]] std::uint64_t turn(std::uint64_t place) const {
        const auto mask = (std::uint64_t{1} << half_) - 1;
        auto left = place >> half_;
        auto right = place & mask;
        for (std::size_t i = 0; i < rounds_; ++i) {
            const auto mixed = left ^ (mix64(keys_[i] ^ right) & mask);
            left = right;
            right = mixed;
        }
        return left << half_ | right;
    }

    std::uint64_t count_;
    unsigned half_ = 1;  ///< bits of one half
    std::size_t rounds_ = kRounds;
    std::array<std::uint64_t, kRoundsMax> keys_{};
};

}  // namespace starling
