#include "compute/cpu/loops/loops.hpp"

#include <algorithm>
#include <cmath>

#include "base/simd.hpp"
#include "compute/cpu/loops/fast_math.hpp"
#include "compute/cpu/loops/norm.hpp"
#include "compute/simd/parallel.hpp"

namespace starling::compute::cpu {

namespace {

// The loops read both operands before they choose one: a conditional load would keep the compiler
// from using vectors. `omp simd` promises that operands overlap only at equal indices.

STARLING_INLINE void relu_range(const float* x, float* y, std::size_t count) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) {
        const float value = x[i];
        y[i] = value > 0.0F ? value : 0.0F;
    }
}

STARLING_INLINE void relu_gradient_range(
    const float* dy, const float* y, float* dx, std::size_t count
) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) {
        const float slope = dy[i];
        dx[i] = y[i] > 0.0F ? slope : 0.0F;
    }
}

STARLING_INLINE void relu_gradient_of_sum_range(
    const float* a, const float* b, const float* y, float* dx, std::size_t count
) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) {
        const float slope = a[i] + b[i];
        dx[i] = y[i] > 0.0F ? slope : 0.0F;
    }
}

STARLING_INLINE void add_range(
    float floor, const float* a, const float* b, float* y, std::size_t count
) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) {
        const float sum = a[i] + b[i];
        // A NaN is not below the floor and stays a NaN.
        y[i] = sum < floor ? floor : sum;
    }
}

STARLING_INLINE void dropout_range(
    const DropoutMask& mask,
    std::size_t begin,
    std::size_t end,
    const float* x,
    float* __restrict factors,
    float* y
) {
    // A local copy: the compiler then knows that the stores below do not change it.
    const DropoutMask draw = mask;
#pragma omp simd
    for (std::size_t i = begin; i < end; ++i) {
        const float factor = draw.factor(i);
        factors[i] = factor;
        y[i] = x[i] * factor;
    }
}

/// Columns whose sums stay in the nearest cache; a row's part of them is a few cache lines.
constexpr std::int64_t kSumStrip = 256;

STARLING_INLINE void sum_strip(
    std::int64_t rows,
    std::int64_t stride,
    std::int64_t width,
    const Source& x,
    std::int64_t column,
    float* sums
) {
    float buffer[kSumStrip];
    for (std::int64_t i = 0; i < width; ++i) sums[i] = 0.0F;
    for (std::int64_t row = 0; row < rows; ++row) {
        const auto at = static_cast<std::size_t>(row * stride + column);
        const float* values = read_strip(x, at, static_cast<std::size_t>(width), buffer);
#pragma omp simd
        for (std::int64_t i = 0; i < width; ++i) sums[i] += values[i];
    }
}

STARLING_INLINE void scaled_exp(float scale, const float* x, float* y, std::size_t count) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) y[i] = scale * fast_exp(x[i]);
}

}  // namespace

void relu(int threads, std::size_t count, const Source& x, const Sink& y) {
    over_strips<1>(threads, count, {x}, y, [](const auto& in, float* out, std::size_t length) {
        vectorized<relu_range>(in[0], out, length);
    });
}

void relu_gradient(
    int threads, std::size_t count, const Source& dy, const Source& y, const Sink& dx
) {
    over_strips<2>(threads, count, {dy, y}, dx, [](const auto& in, float* out, std::size_t length) {
        vectorized<relu_gradient_range>(in[0], in[1], out, length);
    });
}

void relu_gradient_of_sum(
    int threads,
    std::size_t count,
    const Source& a,
    const Source& b,
    const Source& y,
    const Sink& dx
) {
    over_strips<3>(
        threads,
        count,
        {a, b, y},
        dx,
        [](const auto& in, float* out, std::size_t length) {
            vectorized<relu_gradient_of_sum_range>(in[0], in[1], in[2], out, length);
        }
    );
}

void add(
    int threads, std::size_t count, bool cut, const Source& a, const Source& b, const Sink& y
) {
    const float floor = cut ? 0.0F : -HUGE_VALF;
    over_strips<2>(threads, count, {a, b}, y, [&](const auto& in, float* out, std::size_t length) {
        vectorized<add_range>(floor, in[0], in[1], out, length);
    });
}

void dropout(
    int threads,
    const DropoutMask& mask,
    std::span<const float> x,
    std::span<float> factors,
    std::span<float> y
) {
    parallel_ranges(threads, y.size(), [&](std::size_t begin, std::size_t end) {
        vectorized<dropout_range>(mask, begin, end, x.data(), factors.data(), y.data());
    });
}

void sum_rows(int threads, std::int64_t rows, std::int64_t width, const Source& x, float* sums) {
    const auto strips = (width + kSumStrip - 1) / kSumStrip;
    const int team = static_cast<std::size_t>(rows * width) < kParallelElementsMin ? 1 : threads;
#pragma omp parallel for schedule(static) num_threads(team)
    for (std::int64_t strip = 0; strip < strips; ++strip) {
        const auto at = strip * kSumStrip;
        vectorized<sum_strip>(rows, width, std::min(kSumStrip, width - at), x, at, sums + at);
    }
}

namespace {

/// Returns the label's weight, or zero for a label that is ignored.
float label_weight(const LossSettings& settings, std::int32_t label, std::size_t classes) {
    if (label < 0 || static_cast<std::size_t>(label) >= classes || label == settings.ignore) {
        return 0.0F;
    }
    return settings.weights.empty() ? 1.0F : settings.weights[static_cast<std::size_t>(label)];
}

float weight_at(const LossSettings& settings, std::size_t c) {
    return settings.weights.empty() ? 1.0F : settings.weights[c];
}

bool counts(const LossSettings& settings, std::int32_t label, std::size_t classes) {
    return label >= 0 && static_cast<std::size_t>(label) < classes && label != settings.ignore;
}

double total_weight(
    const LossSettings& settings, std::span<const std::int32_t> labels, std::size_t classes
) {
    double total = 0.0;
    for (const auto label : labels) {
        total += static_cast<double>(label_weight(settings, label, classes));
    }
    return total;
}

/// Returns what label smoothing adds to one sample's loss.
double smooth_loss(const LossSettings& settings, std::span<const float> row) {
    double sum = 0.0;
    for (std::size_t c = 0; c < row.size(); ++c) {
        sum -= static_cast<double>(weight_at(settings, c) * row[c]);
    }
    return sum * static_cast<double>(settings.smoothing) / static_cast<double>(row.size());
}

}  // namespace

float softmax_cross_entropy(
    const LossSettings& settings,
    std::span<const float> scores,
    std::span<const std::int32_t> labels,
    std::span<float> log_probabilities
) {
    const std::size_t classes = scores.size() / labels.size();
    const Cut rows{static_cast<std::int64_t>(labels.size()), static_cast<std::int64_t>(classes), 1};
    softmax(settings.threads, true, rows, scores.data(), log_probabilities.data());
    const double keep = 1.0 - static_cast<double>(settings.smoothing);
    double loss = 0.0;
    for (std::size_t n = 0; n < labels.size(); ++n) {
        if (!counts(settings, labels[n], classes)) continue;
        const auto row = log_probabilities.subspan(n * classes, classes);
        const float weight = label_weight(settings, labels[n], classes);
        const float truth = row[static_cast<std::size_t>(labels[n])];
        loss -= keep * static_cast<double>(weight * truth);
        if (settings.smoothing > 0.0F) loss += smooth_loss(settings, row);
    }
    return static_cast<float>(loss / total_weight(settings, labels, classes));
}

void softmax_cross_entropy_gradient(
    const LossSettings& settings,
    std::span<const float> log_probabilities,
    std::span<const std::int32_t> labels,
    std::span<float> dscores
) {
    const std::size_t classes = dscores.size() / labels.size();
    const auto share = static_cast<float>(1.0 / total_weight(settings, labels, classes));
    const float keep = 1.0F - settings.smoothing;
    const float spread = settings.smoothing / static_cast<float>(classes);
    float all = static_cast<float>(classes);
    if (!settings.weights.empty()) {
        all = 0.0F;
        for (const float weight : settings.weights) all += weight;
    }
    const int threads = dscores.size() < kParallelElementsMin ? 1 : settings.threads;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::size_t n = 0; n < labels.size(); ++n) {
        const bool counted = counts(settings, labels[n], classes);
        const float weight = label_weight(settings, labels[n], classes);
        const float pull = counted ? share * (keep * weight + spread * all) : 0.0F;
        const float* from = log_probabilities.data() + n * classes;
        float* to = dscores.data() + n * classes;
        vectorized<scaled_exp>(pull, from, to, classes);
        if (!counted) continue;
        to[static_cast<std::size_t>(labels[n])] -= share * keep * weight;
        if (spread == 0.0F) continue;
        for (std::size_t c = 0; c < classes; ++c) to[c] -= share * spread * weight_at(settings, c);
    }
}

std::int32_t right_classes(
    int threads, std::span<const float> answers, std::span<const std::int32_t> labels
) {
    const auto classes = answers.size() / labels.size();
    std::int32_t hits = 0;
    const int team = answers.size() < kParallelElementsMin ? 1 : threads;
#pragma omp parallel for schedule(static) num_threads(team) reduction(+ : hits)
    for (std::size_t n = 0; n < labels.size(); ++n) {
        const auto row = answers.subspan(n * classes, classes);
        const auto best = std::max_element(row.begin(), row.end()) - row.begin();
        hits += best == labels[n] ? 1 : 0;
    }
    return hits;
}

std::int32_t right_labels(
    int threads, std::span<const float> answers, std::span<const float> targets
) {
    std::int32_t hits = 0;
    const int team = answers.size() < kParallelElementsMin ? 1 : threads;
#pragma omp parallel for schedule(static) num_threads(team) reduction(+ : hits)
    for (std::size_t i = 0; i < targets.size(); ++i) {
        hits += (answers[i] > 0.0F) == (targets[i] > 0.5F) ? 1 : 0;
    }
    return hits;
}

}  // namespace starling::compute::cpu
