// Goal: donors that bring nothing more are let go, and no others. Method: donors whose rates the test
// computes from who is asked, over a line with or without a limit of its own.

#include "peer/transfer/donor_trial.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

PeerId peer_id(std::size_t n) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(n + 1);
    return id;
}

/// Donors of these rates behind a line of this rate.
struct Play {
    std::vector<double> rates;
    double line;
    std::vector<bool> here = std::vector<bool>(rates.size(), true);
    DonorTrial trial = {};
    Instant now{seconds(10)};
    Duration rested{};
    double came = 0.0;

    void run(Duration time) {
        const auto until = now + time;
        constexpr Duration kStep = milliseconds(10);
        while (now < until) {
            now += kStep;
            std::vector<DonorTrial::Donor> donors;
            std::vector<double> gives(rates.size());
            for (std::size_t i = 0; i < rates.size(); ++i) {
                if (here[i] && trial.rests() != peer_id(i)) gives[i] = rates[i];
            }
            const double sum = std::accumulate(gives.begin(), gives.end(), 0.0);
            const double factor = sum > line ? line / sum : 1.0;
            for (std::size_t i = 0; i < rates.size(); ++i) {
                if (!here[i]) continue;
                const double rate = rates[i] * std::min(1.0, line / std::max(sum, rates[i]));
                donors.push_back({peer_id(i), rate, gives[i] > 0.0 ? 1000U : 0U, 1000, {}});
            }
            const auto bytes = sum * factor * to_seconds(kStep);
            came += bytes;
            trial.arrived(static_cast<std::size_t>(bytes));
            if (trial.rests()) rested += kStep;
            if (const auto gone = trial.advance(now, donors)) {
                for (std::size_t i = 0; i < rates.size(); ++i) {
                    if (*gone == peer_id(i)) here[i] = false;
                }
            }
        }
    }

    [[nodiscard]] std::ptrdiff_t left() const { return std::count(here.begin(), here.end(), true); }
};

TEST(DonorTrial, OneOfFourIsEnoughForALineThatEachFills) {
    Play play{{1e6, 1e6, 1e6, 1e6}, 1e6};
    play.trial.changed(play.now);
    play.run(seconds(20));
    EXPECT_EQ(play.left(), 1);
    EXPECT_NEAR(play.came, 20e6, 0.1e6) << "and nothing was lost meanwhile";
}

TEST(DonorTrial, DonorsWithLinesOfTheirOwnStayAndRestSeldom) {
    Play play{{1e6, 1e6, 1e6, 1e6}, 1e9};
    play.trial.changed(play.now);
    play.run(seconds(100));
    EXPECT_EQ(play.left(), 4);
    EXPECT_GT(play.rested, Duration::zero());
    EXPECT_LT(play.rested, seconds(6));
}

TEST(DonorTrial, WhoGivesATenthOfTheOthersGoesWithoutATrial) {
    Play play{{1e6, 0.05e6}, 1e9};
    play.trial.changed(play.now);
    play.run(seconds(3));
    EXPECT_EQ(play.left(), 1);
    EXPECT_EQ(play.rested, Duration::zero());
}

TEST(DonorTrial, ASecondThatRaisesTheSumByAFifthStays) {
    Play play{{1e6, 0.2e6}, 1e9};
    play.trial.changed(play.now);
    play.run(seconds(20));
    EXPECT_EQ(play.left(), 2);
}

TEST(DonorTrial, SaysWhenWhatComesFallsByHalf) {
    Play play{{1e6, 1e6}, 1e6};
    play.trial.changed(play.now);
    play.run(seconds(10));
    ASSERT_EQ(play.left(), 1);
    ASSERT_FALSE(play.trial.fell());
    for (auto& rate : play.rates) rate = 0.2e6;
    play.run(seconds(15));
    EXPECT_TRUE(play.trial.fell());
}

TEST(DonorTrial, OneDonorAloneNeverRests) {
    Play play{{1e6}, 1e9};
    play.trial.changed(play.now);
    play.run(seconds(60));
    EXPECT_EQ(play.left(), 1);
    EXPECT_EQ(play.rested, Duration::zero());
}

}  // namespace
}  // namespace starling::peer
