#include "compute/metrics/scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/check.hpp"
#include "base/finite.hpp"

namespace starling::compute {

namespace {

constexpr double kNatsMax = 100.0;

bool is_possible(float score, ScoreKind kind) {
    if (kind == ScoreKind::Probability) return score >= 0.0F && score <= 1.0F;
    return std::isfinite(score);
}

double nats_of(double probability) {
    return std::min(kNatsMax, -std::log(probability));
}

/// A score as the logarithm of something that is proportional to its probability.
double log_weight(float score, ScoreKind kind) {
    const auto value = static_cast<double>(score);
    return kind == ScoreKind::Probability ? std::log(value) : value;
}

}  // namespace

Result<void> check_scores(std::span<const float> scores, ScoreKind kind) {
    if (kind != ScoreKind::Probability && all_finite(scores)) return {};
    for (std::size_t i = 0; i < scores.size(); ++i) {
        if (is_possible(scores[i], kind)) continue;
        return fail(
            FaultCode::BadValue,
            "score " + std::to_string(i) + " is " + std::to_string(scores[i]) +
                (kind == ScoreKind::Probability ? ", and no probability" : ", and not finite")
        );
    }
    return {};
}

Result<void> check_rows(const ClassRows& rows) {
    const auto count = rows.labels.size();
    if (rows.classes == 0 || rows.scores.size() / rows.classes < count) {
        return fail(
            FaultCode::BadValue,
            std::to_string(rows.scores.size()) + " scores are too few for " +
                std::to_string(count) + " labels of " + std::to_string(rows.classes) + " classes"
        );
    }
    for (std::size_t n = 0; n < count; ++n) {
        if (rows.labels[n] >= 0 && rows.label(n) < rows.classes) continue;
        return fail(
            FaultCode::BadValue,
            "label " + std::to_string(n) + " is " + std::to_string(rows.labels[n]) +
                ", and there are " + std::to_string(rows.classes) + " classes"
        );
    }
    return check_scores(rows.scores.first(count * rows.classes), rows.kind);
}

double cross_entropy(const ClassRows& rows, std::size_t n) {
    const auto row = rows.row(n);
    const auto right = static_cast<double>(row[rows.label(n)]);
    // Rounding may leave the logarithm of a probability just above 0.
    if (rows.kind == ScoreKind::LogProbability) return std::max(0.0, -right);
    if (rows.kind == ScoreKind::Probability) return nats_of(right);
    const auto top = static_cast<double>(*std::max_element(row.begin(), row.end()));
    double sum = 0.0;
    for (const float score : row) sum += std::exp(static_cast<double>(score) - top);
    return std::log(sum) + (top - right);
}

double binary_cross_entropy(float score, float target, ScoreKind kind) {
    const auto value = static_cast<double>(score);
    const auto goal = static_cast<double>(target);
    if (kind == ScoreKind::Probability) {
        return goal * nats_of(value) + (1.0 - goal) * nats_of(1.0 - value);
    }
    if (kind == ScoreKind::LogProbability) {
        const auto log_probability = std::min(value, 0.0);
        return (1.0 - goal) * nats_of(-std::expm1(log_probability)) - goal * log_probability;
    }
    // -z log s(x) - (1 - z) log (1 - s(x)), without the difference of two large numbers.
    return std::max(value, 0.0) - value * goal + std::log1p(std::exp(-std::abs(value)));
}

bool is_loss_of(const ExactSum& sum, double count) {
    return !sum.is_negative() && sum.value() <= count * 0x1p130;
}

double log_odds(float score, ScoreKind kind) {
    const auto value = static_cast<double>(score);
    if (kind == ScoreKind::Probability) return std::log(value) - std::log1p(-value);
    if (kind == ScoreKind::Logit) return value;
    const auto log_probability = std::min(value, 0.0);
    return log_probability - std::log(-std::expm1(log_probability));
}

void class_log_odds(std::span<const float> row, ScoreKind kind, std::span<double> out) {
    STARLING_CHECK(row.size() == out.size() && !row.empty());
    const auto best =
        static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    const auto top = log_weight(row[best], kind);
    // A row of probabilities 0 alone says nothing: all classes are alike.
    const bool empty = std::isinf(top);
    double second = -std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < row.size(); ++c) {
        out[c] = empty ? 0.0 : log_weight(row[c], kind) - top;
        if (c != best) second = std::max(second, out[c]);
    }
    if (std::isinf(second)) {
        // All others have probability 0, or there are none.
        out[best] = -second;
        return;
    }
    double others = 0.0;  // relative to the second best
    for (std::size_t c = 0; c < row.size(); ++c) {
        if (c != best) others += std::exp(out[c] - second);
    }
    for (std::size_t c = 0; c < row.size(); ++c) {
        if (c == best) continue;
        // 1 is the weight of the best class; the rest are all but this and the best.
        const auto rest = std::exp(second) * std::max(0.0, others - std::exp(out[c] - second));
        out[c] -= std::log1p(rest);
    }
    out[best] = -(second + std::log(others));
}

}  // namespace starling::compute
