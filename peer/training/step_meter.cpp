#include "peer/training/step_meter.hpp"

#include <utility>

namespace starling::peer {

namespace {

constexpr double kSpanMin = 0.5;  // seconds
constexpr double kSpanMax = 3.0;
constexpr double kLossDecay = 0.02;
constexpr double kTimeDecay = 0.02;
constexpr Duration kWindow = std::chrono::seconds(5);

}  // namespace

void StepMeter::start(Instant now, std::uint64_t samples) {
    ended_ = now;
    measure_from(now, samples);
}

void StepMeter::measure_from(Instant now, std::uint64_t samples) {
    since_ = now;
    samples_ = samples;
}

std::optional<double> StepMeter::samples_per_s(Instant now, std::uint64_t samples) {
    const double seconds = to_seconds(now - since_);
    if (seconds <= kSpanMin) return std::nullopt;
    const double rate = static_cast<double>(samples - samples_) / seconds;
    if (seconds > kSpanMax) measure_from(now, samples);
    return rate;
}

void StepMeter::add_loss(double loss) {
    loss_ = loss_known_ ? loss_ + kLossDecay * (loss - loss_) : loss;
    loss_known_ = true;
}

void StepMeter::add_step(Instant begin, Instant ready, Instant end) {
    wait_ = (1.0 - kTimeDecay) * wait_ + to_seconds(ready - begin);
    whole_ = (1.0 - kTimeDecay) * whole_ + to_seconds(end - begin);
    steps_ = (1.0 - kTimeDecay) * steps_ + 1.0;
    if (end - window_ > kWindow) {
        longest_before_ = std::exchange(longest_, {});
        window_ = end;
    }
    longest_ = std::max(longest_, end - ended_);
    ended_ = end;
}

}  // namespace starling::peer
