#include "compute/metrics/ranking.hpp"

#include <algorithm>
#include <cmath>

namespace starling::compute {

namespace {

/// What lies in and above a bin. Counts are below 2^53, so these doubles are exact.
struct Step {
    const Ranking::Bin& bin;
    double positives = 0.0;  ///< in the bin
    double negatives = 0.0;
    double true_above = 0.0;  ///< in higher bins
    double false_above = 0.0;

    [[nodiscard]] double true_all() const { return true_above + positives; }

    [[nodiscard]] double all() const { return true_all() + false_above + negatives; }
};

/// Calls `visit` for each bin, from the highest scores down.
template <class Visit>
void for_each_step(const Ranking& ranking, Visit visit) {
    double true_above = 0.0;
    double false_above = 0.0;
    const auto& bins = ranking.bins();
    for (auto bin = bins.rbegin(); bin != bins.rend(); ++bin) {
        const auto positives = static_cast<double>(bin->counts[kPositives]);
        const auto negatives = static_cast<double>(bin->counts[kNegatives]);
        visit(Step{*bin, positives, negatives, true_above, false_above});
        true_above += positives;
        false_above += negatives;
    }
}

double positives_of(const Ranking& ranking) {
    return static_cast<double>(ranking.totals()[kPositives]);
}

double pairs_of(const Ranking& ranking) {
    return positives_of(ranking) * static_cast<double>(ranking.totals()[kNegatives]);
}

}  // namespace

std::optional<double> roc_auc(const Ranking& ranking) {
    const auto pairs = pairs_of(ranking);
    if (pairs == 0.0) return std::nullopt;
    double right = 0.0;
    for_each_step(ranking, [&](const Step& step) {
        right += step.negatives * (step.true_above + 0.5 * step.positives);
    });
    return right / pairs;
}

double roc_auc_error(const Ranking& ranking) {
    const auto pairs = pairs_of(ranking);
    if (ranking.level() == 0 || pairs == 0.0) return 0.0;
    double tied = 0.0;
    for_each_step(ranking, [&](const Step& step) { tied += step.negatives * step.positives; });
    return 0.5 * tied / pairs;
}

std::optional<double> average_precision(const Ranking& ranking) {
    const auto positives = positives_of(ranking);
    if (positives == 0.0) return std::nullopt;
    double sum = 0.0;
    for_each_step(ranking, [&](const Step& step) {
        sum += step.positives * (step.true_all() / step.all());
    });
    return sum / positives;
}

double average_precision_error(const Ranking& ranking) {
    const auto positives = positives_of(ranking);
    if (ranking.level() == 0 || positives == 0.0) return 0.0;
    double above = 0.0;
    double below = 0.0;
    for_each_step(ranking, [&](const Step& step) {
        const auto taken = step.true_all() / step.all();
        const auto first = step.true_above + 1.0;
        const auto least = first / (first + step.false_above + step.negatives);
        const auto most = step.true_all() / (step.all() - step.negatives);
        if (step.positives == 0.0) return;
        above += step.positives * (most - taken);
        below += step.positives * (taken - least);
    });
    return std::max(above, below) / positives;
}

std::optional<BestF1> best_f1(const Ranking& ranking) {
    const auto positives = positives_of(ranking);
    if (positives == 0.0) return std::nullopt;
    BestF1 best;
    for_each_step(ranking, [&](const Step& step) {
        const auto f1 = 2.0 * step.true_all() / (step.all() + positives);
        if (f1 <= best.f1) return;
        best.f1 = f1;
        best.log_odds = lower_end(step.bin.index, ranking.level());
    });
    best.probability = 1.0 / (1.0 + std::exp(-best.log_odds));
    return best;
}

ScoreBins<2>::Counts right_at_half(const Ranking& ranking) {
    ScoreBins<2>::Counts right{};
    for (const auto& bin : ranking.bins()) {
        const auto taken_for = bin.index >= 0 ? kPositives : kNegatives;
        right[taken_for] += bin.counts[taken_for];
    }
    return right;
}

}  // namespace starling::compute
