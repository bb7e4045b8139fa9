#pragma once

// A mean that follows what it measures: everything older counts half with each new part.

namespace starling {

class RunningMean {
public:
    /// Adds the mean of a part that counts for `weight` of the usual one.
    ///
    /// Requires  0 < weight
    /// Ensures   after many parts of weight 1 the newest counts for half
    void add(double mean, double weight) {
        weight_ = weight_ / 2.0 + weight;
        mean_ += weight / weight_ * (mean - mean_);
    }

    /// Begins anew with a mean that counts for `weight` parts: what follows moves it little at
    /// first where that is many.
    void restart(double mean, double weight) {
        weight_ = weight;
        mean_ = mean;
    }

    [[nodiscard]] double mean() const { return mean_; }

private:
    double mean_ = 0.0;
    double weight_ = 0.0;
};

}  // namespace starling
