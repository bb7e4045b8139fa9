#include "peer/transfer/fetch_pace.hpp"

#include <algorithm>

namespace starling::peer {

FetchPace::FetchPace(std::size_t cores, std::size_t threads)
    : free_(threads + 2 <= cores),
      rate_(kShare * static_cast<double>(std::max<std::size_t>(1, cores))) {}

std::optional<Instant> FetchPace::update(Instant now, const Inputs& inputs) {
    const auto before = last_;
    const double elapsed = begun_ ? to_seconds(now - last_at_) : 0.0;
    last_ = inputs;
    last_at_ = now;
    if (free_ || !inputs.trains || !begun_) {
        begun_ = true;
        charge_ = 0;
        return std::nullopt;
    }
    // The network thread does other things, too. What it does while no piece is awaited is none of ours.
    if (before.fetching) charge_ += to_seconds(inputs.network - before.network);
    charge_ += to_seconds(inputs.files - before.files);
    // Time in which nothing was fetched is not saved up: a burst would hold up steps.
    charge_ = std::max(0.0, charge_ - elapsed * rate_);
    if (charge_ == 0.0) return std::nullopt;
    return now +
           std::chrono::duration_cast<Duration>(std::chrono::duration<double>(charge_ / rate_));
}

}  // namespace starling::peer
