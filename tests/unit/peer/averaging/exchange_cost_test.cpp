// Goal: what the network thread spends on exchanges is counted to exchanges, and nothing else is. Method:
// what the thread has spent, by hand.

#include "peer/averaging/exchange_cost.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using namespace std::chrono_literals;

TEST(ExchangeCost, IsWhatIsSpentWhileAnExchangeRuns) {
    ExchangeCost cost;
    EXPECT_EQ(cost.mean(), 0ms);
    cost.handle_running(true, 100ms);
    cost.handle_committed(104ms);
    cost.handle_running(false, 104ms);
    EXPECT_EQ(cost.mean(), 4ms);
    // Membership, people who look at the page, newcomers.
    cost.handle_running(true, 900ms);
    cost.handle_committed(904ms);
    EXPECT_EQ(cost.mean(), 4ms);
}

TEST(ExchangeCost, OfExchangesThatOverlapIsShared) {
    ExchangeCost cost;
    cost.handle_running(true, 0ms);
    cost.handle_committed(6ms);
    cost.handle_committed(8ms);
    cost.handle_running(false, 8ms);
    EXPECT_EQ(cost.mean(), 5ms) << "6 ms, and a quarter of the way to 2 ms";
}

TEST(ExchangeCost, OfFailedOnesCountsToTheNextThatIsCommitted) {
    ExchangeCost cost;
    cost.handle_running(true, 0ms);
    cost.handle_running(false, 3ms);
    cost.handle_running(true, 10ms);
    cost.handle_committed(12ms);
    EXPECT_EQ(cost.mean(), 5ms);
}

}  // namespace
}  // namespace starling::peer
