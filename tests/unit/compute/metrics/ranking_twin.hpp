#pragma once

// Naive twins of the curves over bins: full lists, and no bins.

#include <algorithm>
#include <cstddef>
#include <set>
#include <vector>

namespace starling::compute {

struct ScoredList {
    std::vector<float> scores;
    std::vector<float> targets;  ///< 0 or 1
};

/// Compares all pairs.
inline double twin_auc(const ScoredList& list) {
    double right = 0.0;
    double pairs = 0.0;
    for (std::size_t i = 0; i < list.scores.size(); ++i) {
        if (list.targets[i] < 0.5F) continue;
        for (std::size_t j = 0; j < list.scores.size(); ++j) {
            if (list.targets[j] > 0.5F) continue;
            pairs += 1.0;
            if (list.scores[i] > list.scores[j]) right += 1.0;
            if (list.scores[i] == list.scores[j]) right += 0.5;
        }
    }
    return right / pairs;
}

/// True and false positives at each different score, from the highest down.
struct TwinStep {
    double hits = 0.0;
    double misses = 0.0;
};

inline std::vector<TwinStep> twin_steps(const ScoredList& list) {
    std::vector<std::size_t> order(list.scores.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return list.scores[a] > list.scores[b];
    });
    std::vector<TwinStep> steps;
    TwinStep now;
    for (std::size_t i = 0; i < order.size(); ++i) {
        (list.targets[order[i]] > 0.5F ? now.hits : now.misses) += 1.0;
        const bool last = i + 1 == order.size();
        if (last || list.scores[order[i]] != list.scores[order[i + 1]]) steps.push_back(now);
    }
    return steps;
}

inline double twin_average_precision(const ScoredList& list) {
    const auto steps = twin_steps(list);
    double sum = 0.0;
    double before = 0.0;
    for (const auto& step : steps) {
        sum += (step.hits - before) / steps.back().hits * step.hits / (step.hits + step.misses);
        before = step.hits;
    }
    return sum;
}

inline double twin_best_f1(const ScoredList& list) {
    const auto steps = twin_steps(list);
    double best = 0.0;
    for (const auto& step : steps) {
        best = std::max(best, 2.0 * step.hits / (step.hits + step.misses + steps.back().hits));
    }
    return best;
}

}  // namespace starling::compute
