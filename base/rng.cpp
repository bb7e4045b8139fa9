#include "base/rng.hpp"

#include <bit>
#include <cmath>
#include <numbers>

#include "base/check.hpp"

namespace starling {

Rng::Rng(std::uint64_t seed) : state_{} {
    for (auto& word : state_) {
        seed += 0x9e3779b97f4a7c15ULL;
        word = mix64(seed);
    }
}

Rng Rng::fork(std::uint64_t purpose) const {
    return Rng(mix64(state_[0] ^ mix64(purpose)) ^ state_[3]);
}

std::uint64_t Rng::next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
}

std::uint64_t Rng::below(std::uint64_t bound) {
    STARLING_CHECK(bound > 0);
    // Lemire's multiply-shift with rejection (arXiv 1805.10941): unbiased, and mostly one
    // multiplication.
    __extension__ using Wide = unsigned __int128;
    auto product = static_cast<Wide>(next()) * bound;
    auto low = static_cast<std::uint64_t>(product);
    if (low < bound) {
        const std::uint64_t threshold = (0 - bound) % bound;
        while (low < threshold) {
            product = static_cast<Wide>(next()) * bound;
            low = static_cast<std::uint64_t>(product);
        }
    }
    return static_cast<std::uint64_t>(product >> 64U);
}

double Rng::uniform() {
    return static_cast<double>(next() >> 11U) * 0x1.0p-53;
}

double Rng::normal() {
    const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

double Rng::exponential(double mean) {
    return -mean * std::log1p(-uniform());
}

}  // namespace starling
