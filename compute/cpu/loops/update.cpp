#include "compute/cpu/loops/update.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "base/simd.hpp"
#include "compute/simd/parallel.hpp"

namespace starling::compute::cpu {

namespace {

/// Both forms of momentum are w -= rate * (fresh * g + held * m).
struct SgdFactors {
    float rate;
    float decay;
    float keep;
    float scale;
    float fresh;
    float held;
};

STARLING_INLINE void sgd_loop(
    const SgdFactors& f, const float* g, float* m, float* w, std::size_t count
) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) {
        const float slope = f.scale * g[i] + f.decay * w[i];
        const float mean = f.keep * m[i] + slope;
        m[i] = mean;
        w[i] -= f.rate * (f.fresh * slope + f.held * mean);
    }
}

struct AdamFactors {
    float rate;   ///< the learning rate, with the means corrected for their start at zero
    float root;   ///< corrects the root of the squares for their start at zero
    float keep;   ///< factor of the weight: what the decay leaves
    float scale;  ///< factor of the gradient
    float beta1;
    float beta2;
    float epsilon;
};

STARLING_INLINE void adamw_loop(
    const AdamFactors& f, const float* g, float* m, float* v, float* w, std::size_t count
) {
    const float fresh1 = 1.0F - f.beta1;
    const float fresh2 = 1.0F - f.beta2;
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) {
        const float slope = f.scale * g[i];
        const float mean = f.beta1 * m[i] + fresh1 * slope;
        const float square = f.beta2 * v[i] + fresh2 * slope * slope;
        m[i] = mean;
        v[i] = square;
        w[i] = f.keep * w[i] - f.rate * mean / (std::sqrt(square) * f.root + f.epsilon);
    }
}

STARLING_INLINE float sum_of_squares(const float* x, std::size_t count) {
    float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
    for (std::size_t i = 0; i < count; ++i) squares += x[i] * x[i];
    return squares;
}

STARLING_INLINE void add_scaled(
    bool fresh, float share, const float* x, float* sum, std::size_t count
) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) sum[i] = (fresh ? 0.0F : sum[i]) + share * x[i];
}

}  // namespace

void sgd_update(
    const SgdSettings& settings,
    std::span<const float> gradient,
    std::span<float> momentum,
    std::span<float> weights
) {
    const auto count = weights.size();
    STARLING_CHECK(gradient.size() == count && momentum.size() == count);
    const SgdFactors factors{
        settings.learning_rate,
        settings.weight_decay,
        settings.momentum,
        settings.gradient_scale,
        settings.nesterov ? 1.0F : 0.0F,
        settings.nesterov ? settings.momentum : 1.0F};
    vectorized<sgd_loop>(factors, gradient.data(), momentum.data(), weights.data(), count);
}

void adamw_update(
    const AdamSettings& settings,
    std::span<const float> gradient,
    std::span<float> mean,
    std::span<float> square,
    std::span<float> weights
) {
    const auto count = weights.size();
    STARLING_CHECK(gradient.size() == count && mean.size() == count && square.size() == count);
    const double unbias1 = 1.0 - std::pow(static_cast<double>(settings.beta1), settings.step);
    const double unbias2 = 1.0 - std::pow(static_cast<double>(settings.beta2), settings.step);
    const AdamFactors factors{
        static_cast<float>(static_cast<double>(settings.learning_rate) / unbias1),
        static_cast<float>(1.0 / std::sqrt(unbias2)),
        1.0F - settings.learning_rate * settings.weight_decay,
        settings.gradient_scale,
        settings.beta1,
        settings.beta2,
        settings.epsilon};
    vectorized<adamw_loop>(
        factors, gradient.data(), mean.data(), square.data(), weights.data(), count
    );
}

double gradient_norm(std::span<const float> gradient, int threads) {
    constexpr std::size_t kPiece = 4096;
    double total = 0.0;
    const auto pieces = (gradient.size() + kPiece - 1) / kPiece;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : total)
    for (std::size_t p = 0; p < pieces; ++p) {
        const auto begin = p * kPiece;
        const auto count = std::min(gradient.size() - begin, kPiece);
        const float* from = gradient.data() + begin;
        total += static_cast<double>(vectorized<sum_of_squares>(from, count));
    }
    return std::sqrt(total);
}

void accumulate(
    bool fresh, float share, std::span<const float> gradient, std::span<float> sum, int threads
) {
    STARLING_CHECK(gradient.size() == sum.size());
    parallel_ranges(threads, sum.size(), [&](std::size_t begin, std::size_t end) {
        const float* from = gradient.data() + begin;
        vectorized<add_scaled>(fresh, share, from, sum.data() + begin, end - begin);
    });
}

}  // namespace starling::compute::cpu
