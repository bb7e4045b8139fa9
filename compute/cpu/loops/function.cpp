#include "compute/cpu/loops/function.hpp"

#include <algorithm>
#include <cmath>

#include "base/simd.hpp"
#include "compute/cpu/loops/fast_math.hpp"

namespace starling::compute::cpu {

namespace {

using S = FunctionSettings;

constexpr float kRootHalf = 0.70710678F;

STARLING_INLINE float sigmoid(float x) {
    return 1.0F / (1.0F + fast_exp(-x));
}

// Each function is a type with two static members, which the compiler inlines into the loops below.

// At a kink the slope is PyTorch's: that of the left side, and between both for Abs.

struct LeakyRelu {
    STARLING_INLINE static float value(float x, S s) { return x < 0.0F ? s.a * x : x; }

    STARLING_INLINE static float slope(float x, S s) { return x > 0.0F ? 1.0F : s.a; }
};

struct Elu {
    STARLING_INLINE static float value(float x, S s) { return x < 0.0F ? s.a * fast_expm1(x) : x; }

    STARLING_INLINE static float slope(float x, S s) { return x > 0.0F ? 1.0F : s.a * fast_exp(x); }
};

struct Sigmoid {
    STARLING_INLINE static float value(float x, S) { return sigmoid(x); }

    STARLING_INLINE static float slope(float y, S) { return y * (1.0F - y); }
};

struct Tanh {
    STARLING_INLINE static float value(float x, S) { return fast_tanh(x); }

    STARLING_INLINE static float slope(float y, S) { return 1.0F - y * y; }
};

struct Gelu {
    STARLING_INLINE static float value(float x, S) {
        return 0.5F * x * (1.0F + fast_erf(x * kRootHalf));
    }

    STARLING_INLINE static float slope(float x, S) {
        const float below = 0.5F * (1.0F + fast_erf(x * kRootHalf));
        return below + 0.39894228F * x * fast_exp(-0.5F * x * x);
    }
};

struct HardSigmoid {
    STARLING_INLINE static float value(float x, S s) {
        return std::clamp(s.a * x + s.b, 0.0F, 1.0F);
    }

    STARLING_INLINE static float slope(float x, S s) {
        const float y = s.a * x + s.b;
        return y > 0.0F && y < 1.0F ? s.a : 0.0F;
    }
};

struct HardSwish {
    STARLING_INLINE static float value(float x, S) {
        return x * std::clamp(x + 3.0F, 0.0F, 6.0F) * (1.0F / 6.0F);
    }

    STARLING_INLINE static float slope(float x, S) {
        const float inside = (2.0F * x + 3.0F) * (1.0F / 6.0F);
        return x <= -3.0F ? 0.0F : x >= 3.0F ? 1.0F : inside;
    }
};

struct Softplus {
    STARLING_INLINE static float value(float x, S) {
        return std::max(x, 0.0F) + std::log1p(fast_exp(-std::abs(x)));
    }

    STARLING_INLINE static float slope(float x, S) { return sigmoid(x); }
};

struct Exp {
    STARLING_INLINE static float value(float x, S) { return fast_exp(x); }

    STARLING_INLINE static float slope(float y, S) { return y; }
};

struct Log {
    STARLING_INLINE static float value(float x, S) { return std::log(x); }

    STARLING_INLINE static float slope(float x, S) { return 1.0F / x; }
};

struct Sqrt {
    STARLING_INLINE static float value(float x, S) { return std::sqrt(x); }

    STARLING_INLINE static float slope(float y, S) { return 0.5F / y; }
};

struct Reciprocal {
    STARLING_INLINE static float value(float x, S) { return 1.0F / x; }

    STARLING_INLINE static float slope(float y, S) { return -y * y; }
};

struct Erf {
    STARLING_INLINE static float value(float x, S) { return fast_erf(x); }

    STARLING_INLINE static float slope(float x, S) { return 1.12837917F * fast_exp(-x * x); }
};

struct Abs {
    STARLING_INLINE static float value(float x, S) { return std::abs(x); }

    STARLING_INLINE static float slope(float x, S) {
        return x > 0.0F ? 1.0F : x < 0.0F ? -1.0F : 0.0F;
    }
};

struct Clip {
    STARLING_INLINE static float value(float x, S s) { return std::min(std::max(x, s.a), s.b); }

    STARLING_INLINE static float slope(float x, S s) { return x >= s.a && x <= s.b ? 1.0F : 0.0F; }
};

struct Neg {
    STARLING_INLINE static float value(float x, S) { return -x; }

    STARLING_INLINE static float slope(float, S) { return -1.0F; }
};

template <class F>
STARLING_INLINE void forward_range(S s, const float* x, float* y, std::size_t count) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) y[i] = F::value(x[i], s);
}

template <class F>
STARLING_INLINE void backward_range(
    S s, const float* dy, const float* known, float* dx, std::size_t count
) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) dx[i] = dy[i] * F::slope(known[i], s);
}

template <class F>
void forward(int threads, S s, std::size_t count, const Source& x, const Sink& y) {
    over_strips<1>(threads, count, {x}, y, [&](const auto& in, float* out, std::size_t length) {
        vectorized<forward_range<F>>(s, in[0], out, length);
    });
}

template <class F>
void backward(
    int threads, S s, std::size_t count, const Source& dy, const Source& known, const Sink& dx
) {
    over_strips<2>(
        threads,
        count,
        {dy, known},
        dx,
        [&](const auto& in, float* out, std::size_t length) {
            vectorized<backward_range<F>>(s, in[0], in[1], out, length);
        }
    );
}

template <class F>
constexpr FunctionLoop loop(std::string_view name) {
    return {name, forward<F>, backward<F>};
}

constexpr FunctionLoop kLoops[] = {
    loop<LeakyRelu>("LeakyRelu"),
    loop<Elu>("Elu"),
    loop<Sigmoid>("Sigmoid"),
    loop<Tanh>("Tanh"),
    loop<Gelu>("Gelu"),
    loop<HardSigmoid>("HardSigmoid"),
    loop<HardSwish>("HardSwish"),
    loop<Softplus>("Softplus"),
    loop<Exp>("Exp"),
    loop<Log>("Log"),
    loop<Sqrt>("Sqrt"),
    loop<Reciprocal>("Reciprocal"),
    loop<Erf>("Erf"),
    loop<Abs>("Abs"),
    loop<Clip>("Clip"),
    loop<Neg>("Neg"),
};

}  // namespace

const FunctionLoop* find_function_loop(std::string_view name) {
    for (const auto& entry : kLoops) {
        if (entry.name == name) return &entry;
    }
    return nullptr;
}

FunctionSettings function_settings(std::string_view name, const Attributes& attributes) {
    const auto real = [&](std::string_view key, double fallback) {
        return static_cast<float>(attributes.real(key, fallback));
    };
    if (name == "LeakyRelu") return {real("alpha", 0.01), 0.0F};
    if (name == "Elu") return {real("alpha", 1.0), 0.0F};
    if (name == "HardSigmoid") return {real("alpha", 0.2), real("beta", 0.5)};
    if (name == "Clip") return {real("min", -3.4e38), real("max", 3.4e38)};
    return {};
}

}  // namespace starling::compute::cpu
