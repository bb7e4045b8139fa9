#pragma once

// A seeded generator with portable draws: the same seed gives the same sequence with every compiler
// and standard library, which std::uniform_int_distribution and std::shuffle do not promise.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace starling {

/// Scrambles 64 bits (splitmix64's finalizer), for seeds and for cheap keyed hashes.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31U);
}

/// xoshiro256**, seeded by splitmix64.
/// Source    Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021
class Rng {
public:
    explicit Rng(std::uint64_t seed);

    /// Returns a generator for one purpose. Its draws do not change the draws of this generator, so
    /// a new use of randomness leaves every other sequence of a seeded run as it was.
    [[nodiscard]] Rng fork(std::uint64_t purpose) const;

    /// Returns 64 uniform bits.
    std::uint64_t next();

    /// Returns a uniform number in [0, bound). Requires bound > 0.
    std::uint64_t below(std::uint64_t bound);

    /// Returns a uniform double in [0, 1) with 53 random bits.
    double uniform();

    /// Returns true with the given probability.
    bool chance(double probability) { return uniform() < probability; }

    /// Returns a standard normal draw (Box and Muller's transform, one of the pair).
    double normal();

    /// Returns an exponential draw with the given mean.
    double exponential(double mean);

    /// Returns a uniformly chosen element. Requires a non-empty span.
    template <class T>
    const T& pick(std::span<const T> items) {
        return items[static_cast<std::size_t>(below(items.size()))];
    }

    /// Shuffles uniformly (Fisher and Yates).
    template <class T>
    void shuffle(std::span<T> items) {
        for (std::size_t i = items.size(); i > 1; --i) {
            std::swap(items[i - 1], items[static_cast<std::size_t>(below(i))]);
        }
    }

private:
    std::array<std::uint64_t, 4> state_;
};

}  // namespace starling
