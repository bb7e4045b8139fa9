#pragma once

// The result of an evaluation as plain sums, so that parts of a test set can be added up.

#include <cstdint>

namespace starling::compute {

struct EvalResult {
    double loss_sum = 0.0;
    std::uint64_t correct = 0;
    std::uint64_t samples = 0;

    EvalResult& operator+=(const EvalResult& other) {
        loss_sum += other.loss_sum;
        correct += other.correct;
        samples += other.samples;
        return *this;
    }

    [[nodiscard]] double accuracy() const {
        return samples == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(samples);
    }

    [[nodiscard]] double loss() const {
        return samples == 0 ? 0.0 : loss_sum / static_cast<double>(samples);
    }
};

}  // namespace starling::compute
