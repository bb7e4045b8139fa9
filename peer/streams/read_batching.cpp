#include "peer/streams/read_batching.hpp"

#include <algorithm>

namespace starling::peer {

namespace {

/// Smaller payloads mostly come in at one go, and their times say little.
constexpr std::size_t kMeasuredMin = std::size_t{128} * 1024;
constexpr double kSecondsMin = 400e-6;
constexpr double kSecondsMax = 25e-3;
constexpr double kDecay = 0.25;

}  // namespace

void ReadBatching::measured(std::size_t bytes, Duration elapsed) {
    if (bytes < kMeasuredMin || elapsed <= Duration::zero()) return;
    const double each = to_seconds(elapsed) / static_cast<double>(bytes);
    seconds_ += seconds_ > 0.0 ? kDecay * (each - seconds_) : each;
}

Duration ReadBatching::wait(std::size_t missing) const {
    if (seconds_ <= 0.0 || fast()) return Duration::zero();
    const double seconds = static_cast<double>(std::min(missing, kBytes)) * seconds_;
    return from_seconds(std::clamp(seconds, kSecondsMin, kSecondsMax));
}

bool ReadBatching::fast() const {
    return seconds_ > 0.0 && seconds_ * static_cast<double>(kBytes) < kSecondsMin;
}

}  // namespace starling::peer
