#include "peer/transfer/fetch_pace.hpp"

#include <algorithm>

namespace starling::peer {

namespace {

/// How soon to look again whether shards were written.
constexpr Duration kLookAfter = std::chrono::milliseconds(20);

/// So late the thread that writes may tell what it has used.
constexpr Duration kToldWithin = std::chrono::milliseconds(500);

}  // namespace

FetchPace::FetchPace(std::size_t cores, std::size_t threads)
    : free_(threads + 2 <= cores),
      rate_(kShare * static_cast<double>(std::max<std::size_t>(1, cores))) {}

std::optional<Instant> FetchPace::update(Instant now, const Inputs& inputs) {
    const auto before = last_;
    const double elapsed = begun_ ? to_seconds(now - last_at_) : 0.0;
    last_ = inputs;
    last_at_ = now;
    const bool behind = inputs.unwritten > kUnwrittenMax;
    if (free_ || !inputs.trains || !begun_) {
        begun_ = true;
        charge_ = 0;
        exempt_until_ = now + kToldWithin;
        return std::nullopt;
    }
    if (behind && now < exempt_until_) exempt_until_ = now + kToldWithin;
    charge_ += to_seconds(inputs.network - before.network);
    if (now >= exempt_until_) charge_ += to_seconds(inputs.files - before.files);
    // Time in which nothing was fetched is not saved up: a burst would hold up steps.
    charge_ = std::max(0.0, charge_ - elapsed * rate_);
    std::optional<Instant> until;
    if (charge_ > 0.0) {
        const auto wait = std::chrono::duration<double>(charge_ / rate_);
        until = now + std::chrono::duration_cast<Duration>(wait);
    }
    if (behind) until = std::max(until.value_or(now), now + kLookAfter);
    return until;
}

}  // namespace starling::peer
