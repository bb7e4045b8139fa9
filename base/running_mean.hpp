#pragma once

// A running mean of measurements: each new measurement halves the weight of all older ones.

namespace starling {

class RunningMean {
public:
    /// Adds a measurement. `weight` is its size relative to a usual measurement.
    ///
    /// Requires  0 < weight
    /// Ensures   after many measurements of weight 1 the newest counts for half
    void add(double mean, double weight) {
        weight_ = weight_ / 2.0 + weight;
        mean_ += weight / weight_ * (mean - mean_);
    }

    /// Begins anew with a mean that counts as `weight` usual measurements. If `weight` is large,
    /// the first measurements after that move the mean little.
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
