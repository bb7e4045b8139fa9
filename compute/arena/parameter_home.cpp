#include "compute/arena/parameter_home.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#include "base/check.hpp"
#include "base/finite.hpp"
#include "base/simd.hpp"

namespace starling::compute {

namespace {

constexpr std::align_val_t kArenaAlignment{64};

/// A peer may send anything that decodes. This drops a sum that is not finite: otherwise one bad
/// exchange would spoil the model, and then the swarm. Deltas may lie at any address.
STARLING_INLINE void add_body(float* chunk, const std::byte* delta, std::size_t count) {
    constexpr std::uint32_t kExponent = 0x7f800000U;
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) {
        float d = 0.0F;
        std::memcpy(&d, delta + i * sizeof(float), sizeof(float));
        const float old = chunk[i];
        const float sum = old + d;
        // This compares bits: the compiler vectorises a comparison of floats only when it may
        // assume that there is no NaN.
        const bool finite = (std::bit_cast<std::uint32_t>(sum) & kExponent) != kExponent;
        chunk[i] = finite ? sum : old;
    }
}

void add_finite(std::span<float> floats, ByteView delta) {
    STARLING_CHECK(delta.size() == floats.size_bytes());
    vectorized<add_body>(floats.data(), delta.data(), floats.size());
}

void clamp_floats(std::span<float> floats) {
    for (auto& value : floats) value = std::max(value, 0.0F);
}

/// Returns a copy of the home's floats.
std::vector<float> copy_of(ParameterHome& home, std::size_t at, std::size_t count) {
    std::vector<float> floats(count);
    home.read(at, std::as_writable_bytes(std::span(floats)));
    return floats;
}

}  // namespace

void ParameterHome::add(std::size_t at, ByteView delta) {
    auto floats = copy_of(*this, at, delta.size() / sizeof(float));
    add_finite(floats, delta);
    write(at, std::as_bytes(std::span(floats)));
}

void ParameterHome::clamp(std::size_t at, std::size_t count) {
    auto floats = copy_of(*this, at, count);
    clamp_floats(floats);
    write(at, std::as_bytes(std::span(floats)));
}

bool ParameterHome::finite(std::size_t at, std::size_t count) {
    return all_finite(copy_of(*this, at, count));
}

void HostHome::Free::operator()(float* p) const {
    ::operator delete[](p, kArenaAlignment);
}

HostHome::HostHome(std::size_t size)
    : ParameterHome(size),
      arena_(static_cast<float*>(
          ::operator new[](std::max<std::size_t>(1, size) * sizeof(float), kArenaAlignment)
      )) {
    std::fill_n(arena_.get(), size, 0.0F);
}

void HostHome::read(std::size_t at, std::span<std::byte> out) {
    std::memcpy(out.data(), arena_.get() + at, out.size());
}

void HostHome::write(std::size_t at, ByteView values) {
    std::memcpy(arena_.get() + at, values.data(), values.size());
}

void HostHome::add(std::size_t at, ByteView delta) {
    add_finite({arena_.get() + at, delta.size() / sizeof(float)}, delta);
}

void HostHome::clamp(std::size_t at, std::size_t count) {
    clamp_floats({arena_.get() + at, count});
}

bool HostHome::finite(std::size_t at, std::size_t count) {
    return all_finite({arena_.get() + at, count});
}

}  // namespace starling::compute
