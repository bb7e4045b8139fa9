// Goal: the functions that the kernels get where they are CUDA are near the true ones, by as many units
// in the last place as each test says, and right at the ends: zeros, infinities, numbers too small to
// be normal, NaN. Method: the same text, compiled for the host, against the standard library in double,
// over numbers of all exponents.

#include <bit>
#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <limits>

#include "base/rng.hpp"

namespace starling::compute::gpu {
namespace {

namespace cuda {

using U32 = std::uint32_t;

inline float fabs(float x) {
    return std::fabs(x);
}

inline float fmax(float a, float b) {
    return std::fmax(a, b);
}

inline float fmin(float a, float b) {
    return std::fmin(a, b);
}

// The text is C, for clang without CUDA's headers, and has C's casts.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#define FUNCTION inline
#define FMA(a, b, c) std::fma(a, b, c)
#define FLOAT_BITS(x) std::bit_cast<U32>(x)
#define FLOAT_OF(bits) std::bit_cast<float>(bits)
#include "compute/gpu/cuda_math.h"
#undef FUNCTION
#undef FMA
#undef FLOAT_BITS
#undef FLOAT_OF
#pragma GCC diagnostic pop

}  // namespace cuda

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int kDraws = 200000;

/// How far a result is from the true one, in steps between neighbouring floats there.
double units_off(float result, double truth) {
    const auto nearest = static_cast<float>(truth);
    if (std::isinf(nearest) || std::isnan(nearest)) {
        const bool same = std::isnan(nearest) ? std::isnan(result) : result == nearest;
        return same ? 0.0 : std::numeric_limits<double>::infinity();
    }
    const double unit = std::max(std::ldexp(1.0, -149), std::ldexp(1.0, std::ilogb(truth) - 23));
    return std::abs(static_cast<double>(result) - truth) / unit;
}

/// Any float at all.
float any_float(Rng& rng) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(rng.below(std::uint64_t{1} << 32U)));
}

/// Spread evenly over [-bound, bound].
float draw_within(Rng& rng, double bound) {
    return static_cast<float>((2.0 * rng.uniform() - 1.0) * bound);
}

template <class Ours, class True>
void expect_near(Ours ours, True truth, double bound, double units) {
    Rng rng(1);
    double worst = 0.0;
    float worst_at = 0.0F;
    const auto check = [&](float x) {
        const double off = units_off(ours(x), truth(static_cast<double>(x)));
        if (off <= worst) return;
        worst = off;
        worst_at = x;
    };
    for (int i = 0; i < kDraws; ++i) {
        check(any_float(rng));
        check(draw_within(rng, bound));
    }
    for (const float x : {0.0F, -0.0F, 1.0F, -1.0F, kInfinity, -kInfinity, kNan}) check(x);
    EXPECT_LE(worst, units) << "at " << worst_at;
}

TEST(CudaMath, ExpIsWithinTwoUnits) {
    expect_near(
        cuda::exp, [](double x) { return std::exp(x); }, 110.0, 2.0
    );
}

TEST(CudaMath, Expm1IsWithinTwoUnits) {
    expect_near(
        cuda::expm1, [](double x) { return std::expm1(x); }, 3.0, 2.0
    );
}

TEST(CudaMath, LogIsWithinOneUnit) {
    expect_near(
        cuda::log, [](double x) { return std::log(x); }, 3.0, 1.0
    );
}

TEST(CudaMath, Log1pIsWithinThreeUnits) {
    expect_near(
        cuda::log1p, [](double x) { return std::log1p(x); }, 1.5, 3.0
    );
}

TEST(CudaMath, TanhIsWithinThreeUnits) {
    expect_near(
        cuda::tanh, [](double x) { return std::tanh(x); }, 4.0, 3.0
    );
}

TEST(CudaMath, ErfIsWithinSixUnits) {
    expect_near(
        cuda::erf, [](double x) { return std::erf(x); }, 4.5, 6.0
    );
}

TEST(CudaMath, PowIsWithinTwoUnits) {
    Rng rng(1);
    double worst = 0.0;
    for (int i = 0; i < kDraws; ++i) {
        const float a = any_float(rng);
        const float b = rng.chance(0.5) ? any_float(rng) : draw_within(rng, 40.0);
        const float whole = std::trunc(draw_within(rng, 40.0));
        for (const float exponent : {b, whole}) {
            const double truth = std::pow(static_cast<double>(a), static_cast<double>(exponent));
            worst = std::max(worst, units_off(cuda::pow(a, exponent), truth));
        }
    }
    EXPECT_LE(worst, 2.0);
}

TEST(CudaMath, PowIsRightAtTheEnds) {
    const float ends[] = {
        0.0F,
        -0.0F,
        1.0F,
        -1.0F,
        0.5F,
        -0.5F,
        2.0F,
        -2.0F,
        3.0F,
        -3.0F,
        1e30F,
        -1e30F,
        1e-40F,
        -1e-40F,
        kInfinity,
        -kInfinity,
        kNan};
    for (const float a : ends) {
        for (const float b : ends) {
            const double truth = std::pow(static_cast<double>(a), static_cast<double>(b));
            const float result = cuda::pow(a, b);
            EXPECT_LE(units_off(result, truth), 2.0) << a << "^" << b << " = " << result;
        }
    }
}

}  // namespace
}  // namespace starling::compute::gpu
