#include "peer/averaging/exchange_cost.hpp"

#include <utility>

namespace starling::peer {

namespace {

/// An exchange counts a quarter, so that one that was interrupted does not decide.
constexpr int kDecay = 4;

}  // namespace

void ExchangeCost::handle_running(bool running, Duration spent) {
    collect(spent);
    running_ = running;
}

void ExchangeCost::collect(Duration spent) {
    if (running_) collected_ += spent - since_;
    since_ = spent;
}

void ExchangeCost::handle_committed(Duration spent) {
    collect(spent);
    const Duration cost = std::exchange(collected_, Duration::zero());
    mean_ = std::exchange(measured_, true) ? mean_ + (cost - mean_) / kDecay : cost;
}

}  // namespace starling::peer
