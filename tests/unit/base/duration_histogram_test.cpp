// Goal: a histogram counts durations correctly. Method: a table.

#include "base/duration_histogram.hpp"

#include <gtest/gtest.h>

namespace starling {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(DurationHistogram, CountsByUpperBoundAndKeepsTheSumAndTheLongest) {
    DurationHistogram times;
    for (const auto time : {microseconds(0), microseconds(200), microseconds(201)}) times.add(time);
    times.add(milliseconds(20));
    times.add(milliseconds(700));
    EXPECT_EQ(times.up_to(0), 2U);
    EXPECT_EQ(times.up_to(1), 3U);
    EXPECT_EQ(times.up_to(5), 3U);
    EXPECT_EQ(times.up_to(6), 4U);
    EXPECT_EQ(times.up_to(DurationHistogram::kBounds.size() - 1), 4U);
    EXPECT_EQ(times.count(), 5U);
    EXPECT_EQ(times.sum(), microseconds(720'401));
    EXPECT_EQ(times.max(), milliseconds(700));
}

}  // namespace
}  // namespace starling
