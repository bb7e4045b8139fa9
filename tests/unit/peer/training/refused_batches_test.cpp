// Goal: people learn at once that a batch was refused, and then at most once a minute, with a count.
// Method: faults at chosen times.

#include "peer/training/refused_batches.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

Instant at(int seconds) {
    return Instant(std::chrono::seconds(seconds));
}

const Fault kFault = fail(FaultCode::BadValue, "label 3 is 99");

TEST(RefusedBatches, TheFirstIsToldAtOnce) {
    RefusedBatches refused;
    const auto line = refused.handle_fault(at(5), kFault);
    ASSERT_TRUE(line.has_value());
    EXPECT_EQ(*line, "a batch was not used: label 3 is 99");
}

TEST(RefusedBatches, ThenThereIsALineAMinuteThatCounts) {
    RefusedBatches refused;
    EXPECT_TRUE(refused.handle_fault(at(5), kFault).has_value());
    int told = 0;
    for (int i = 6; i < 65; ++i) told += refused.handle_fault(at(i), kFault).has_value() ? 1 : 0;
    EXPECT_EQ(told, 0);
    const auto line = refused.handle_fault(at(65), kFault);
    ASSERT_TRUE(line.has_value());
    EXPECT_EQ(*line, "60 batches were not used, the last one because of label 3 is 99");
    EXPECT_FALSE(refused.handle_fault(at(66), kFault).has_value());
}

}  // namespace
}  // namespace starling::peer
