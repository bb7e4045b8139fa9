// Goal: deadlines and windows follow what each partner has shown. Method: feed measurements.

#include "gossip/pace.hpp"

#include <gtest/gtest.h>

namespace starling::gossip {
namespace {

using namespace std::chrono_literals;

TEST(Pace, WindowGrowsUntilTheLinkIsTheLimit) {
    // 100 MB/s each way with a round trip of 100 ms holds 10 MB; what a window of W brings is
    // W / 100 ms until then.
    Pace pace(4e6);
    std::size_t window = pace.window(kWindowMin);
    EXPECT_EQ(window, kWindowMin) << "nothing is known yet";
    pace.answered(100ms);
    for (int i = 0; i < 40; ++i) {
        const double one_way = std::min(1e8, static_cast<double>(window) / 0.1);
        pace.committed(static_cast<std::size_t>(2 * one_way), 1s);
        window = pace.window(kWindowMin);
    }
    EXPECT_EQ(window, kWindowMax) << "2 x 10 MB, clamped";
}

TEST(Pace, FirstExchangeOverALongLinkFillsItAndIsBelieved) {
    Pace pace(4e6);
    pace.answered(100ms);
    EXPECT_EQ(pace.window(kWindowMin), 12'500'000U) << "a gigabit is hoped for";
    EXPECT_EQ(pace.window(kWindowMax), kWindowMax) << "never less than what is configured";
    pace.committed(std::size_t{50} << 20U, 1s);
    EXPECT_EQ(pace.rate(), static_cast<double>(std::size_t{50} << 20U));
    pace.committed(std::size_t{100} << 20U, 1s);
    EXPECT_EQ(pace.rate(), 1.25 * static_cast<double>(std::size_t{50} << 20U));
}

TEST(Pace, ShortRoundTripsKeepTheWindowSmall) {
    Pace loopback(4e6);
    loopback.answered(100us);
    for (int i = 0; i < 40; ++i) loopback.committed(std::size_t{2} << 30U, 1s);
    EXPECT_LT(loopback.window(kWindowMax), 4U * kWindowMin);
    EXPECT_GT(loopback.window(kWindowMax), 3U * kWindowMin);
    Pace slow(4e6);
    slow.answered(1ms);
    for (int i = 0; i < 40; ++i) slow.committed(std::size_t{25} << 20U, 1s);
    EXPECT_EQ(slow.window(kWindowMax), kWindowMin);
}

TEST(Pace, PartnersAreMeasuredApart) {
    AveragerConfig config;
    Paces paces(config);
    PeerId fast;
    PeerId slow;
    fast.bytes[0] = 1;
    slow.bytes[0] = 2;
    for (int i = 0; i < 40; ++i) {
        paces.of(fast).committed(std::size_t{1} << 30U, 1s);
        paces.of(slow).committed(std::size_t{1} << 20U, 1s);
    }
    const std::size_t model = std::size_t{100} << 20U;
    EXPECT_LT(paces.allowance(fast, model), 3s);
    EXPECT_GT(paces.allowance(slow, model), 300s);
}

TEST(Pace, OfThePartnerMetLongestAgoIsForgotten) {
    AveragerConfig config;
    Paces paces(config);
    PeerId first;
    paces.of(first).committed(std::size_t{1} << 30U, 1s);
    const double known = paces.of(first).rate();
    for (std::size_t i = 1; i <= Paces::kPartnersMax; ++i) {
        PeerId id;
        id.bytes[0] = static_cast<std::uint8_t>(i & 255U);
        id.bytes[1] = static_cast<std::uint8_t>(1 + i / 256);
        (void)paces.of(id);
    }
    EXPECT_NE(paces.of(first).rate(), known);
}

}  // namespace
}  // namespace starling::gossip
