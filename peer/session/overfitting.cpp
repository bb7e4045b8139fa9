#include "peer/session/overfitting.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace starling::peer {

std::optional<std::string> Overfitting::handle_estimate(Instant now, const Estimate& estimate) {
    if (!std::isfinite(estimate.loss) || !std::isfinite(estimate.test_loss)) return std::nullopt;
    if (!best_ || estimate.test_loss < best_->test_loss) {
        best_ = estimate;
        bad_ = 0;
        said_ = false;
        return std::nullopt;
    }
    const double rise = estimate.test_loss - best_->test_loss;
    const bool far = rise > kRiseMin && estimate.test_loss > kRise * best_->test_loss;
    if (!far || estimate.loss >= best_->loss) {
        bad_ = 0;
        return std::nullopt;
    }
    if (bad_++ == 0) since_ = now;
    if (said_ || bad_ < kEstimates || now - since_ < kLong) return std::nullopt;
    said_ = true;
    std::array<char, 200> line{};
    (void)std::snprintf(
        line.data(),
        line.size(),
        "test loss has risen from %.2f to %.2f since step %llu, while the training loss fell from "
        "%.2f to %.2f: overfitting",
        best_->test_loss,
        estimate.test_loss,
        static_cast<unsigned long long>(best_->steps),
        best_->loss,
        estimate.loss
    );
    return std::string(line.data());
}

}  // namespace starling::peer
