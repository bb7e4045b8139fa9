// Goal: a newcomer fetches parameters at the rate of its line, whatever that is, and asks for nothing twice,
// also when a donor dies on the way. Method: the daemon's own machines on both sides, on lines in virtual
// time; the goals are those of docs/results/state.md.

#include "peer/virtual/state_lines.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::peer_virtual {
namespace {

using std::chrono::milliseconds;

constexpr double kMbit = 1e6 / 8;

struct Line {
    double mbit;
    std::size_t model;
};

/// Slow lines get a small model, fast ones that of the first report of this fault.
constexpr Line kLines[] = {
    {0.25, 2'100'000},
    {0.5, 2'100'000},
    {1, 2'100'000},
    {5, 23'300'000},
    {20, 23'300'000},
    {100, 23'300'000},
    {1000, 60'000'000},
};

StateLines line(const Line& of, std::size_t donors, Duration round_trip) {
    StateLines lines;
    lines.rate = of.mbit * kMbit;
    lines.model_bytes = of.model;
    lines.donors = donors;
    lines.round_trip = round_trip;
    return lines;
}

void expect_good(const StateLines& lines, double factor) {
    const auto result = run(lines);
    ASSERT_TRUE(result.complete);
    EXPECT_TRUE(result.right);
    const auto model = static_cast<double>(lines.model_bytes);
    EXPECT_LE(result.seconds, 1.15 * model / lines.rate + 1.0);
    EXPECT_LE(static_cast<double>(result.bytes), factor * model);
    EXPECT_TRUE(result.notes.empty());
}

TEST(StateLines, AreFilledAndCarryNothingTwice) {
    for (const auto& of : kLines) {
        for (const std::size_t donors : {1U, 2U, 4U}) {
            for (const auto round_trip : {milliseconds(0), milliseconds(50)}) {
                SCOPED_TRACE(
                    std::to_string(of.mbit) + " Mbit/s, " + std::to_string(donors) + " donors, " +
                    std::to_string(round_trip.count()) + " ms"
                );
                expect_good(line(of, donors, round_trip), 1.03);
            }
        }
    }
}

TEST(StateLines, ADonorThatDiesAtAnyByteCostsLittle) {
    Rng rng(2);
    for (const auto& of : kLines) {
        for (const std::size_t donors : {2U, 4U}) {
            for (int n = 0; n < 3; ++n) {
                auto lines = line(of, donors, milliseconds(n < 1 ? 0 : 50));
                lines.seed = rng.next();
                lines.killed_at = rng.below(of.model);
                SCOPED_TRACE(
                    std::to_string(of.mbit) + " Mbit/s, " + std::to_string(donors) +
                    " donors, killed at " + std::to_string(*lines.killed_at)
                );
                expect_good(lines, 1.05);
            }
        }
    }
}

TEST(StateLines, ADonorThatLosesPowerCostsBytesOfNobodyAndLittleTime) {
    Rng rng(3);
    for (const double mbit : {1.0, 20.0}) {
        for (int n = 0; n < 4; ++n) {
            auto lines = line({mbit, 2'100'000}, 3, milliseconds(20));
            lines.killed_at = rng.below(lines.model_bytes);
            lines.dark = true;
            const auto result = run(lines);
            EXPECT_TRUE(result.right);
            EXPECT_LE(static_cast<double>(result.bytes), 1.05 * 2.1e6);
            EXPECT_LE(result.seconds, 1.15 * 2.1e6 / lines.rate + 10.0);
        }
    }
}

TEST(StateLines, DonorsBehindOneLineOfOursAreLetGo) {
    auto lines = line({5, 23'300'000}, 4, milliseconds(20));
    EXPECT_EQ(run(lines).donors, 1U);
}

TEST(StateLines, DonorsWithLinesOfTheirOwnAddUp) {
    auto lines = line({100, 23'300'000}, 4, milliseconds(20));
    lines.uplinks = {2 * kMbit, 2 * kMbit, 2 * kMbit, 2 * kMbit};
    const auto four = run(lines);
    EXPECT_TRUE(four.right);
    EXPECT_EQ(four.donors, 4U);
    EXPECT_LE(four.seconds, 1.15 * 23.3e6 / (8 * kMbit) + 1.0);
    EXPECT_LE(static_cast<double>(four.bytes), 1.03 * 23.3e6);
}

TEST(StateLines, ADonorThatIsFarSlowerIsLetGoAndHoldsNothingUp) {
    auto lines = line({100, 23'300'000}, 2, milliseconds(20));
    lines.uplinks = {20 * kMbit, kMbit / 4};
    const auto result = run(lines);
    EXPECT_TRUE(result.right);
    EXPECT_EQ(result.donors, 1U);
    EXPECT_LE(result.seconds, 1.15 * 23.3e6 / (20 * kMbit) + 1.0);
    EXPECT_LE(static_cast<double>(result.bytes), 1.03 * 23.3e6);
}

TEST(StateLines, WhatALiarGaveComesFromOthersAndPeopleReadALine) {
    for (const double mbit : {1.0, 20.0, 100.0}) {
        for (std::size_t liar = 0; liar < 3; ++liar) {
            SCOPED_TRACE(std::to_string(mbit) + " Mbit/s, " + std::to_string(liar));
            auto lines = line({mbit, 4'200'000}, 3, milliseconds(20));
            lines.liars = {liar};
            const auto result = run(lines);
            EXPECT_TRUE(result.right);
            EXPECT_EQ(result.notes.size(), 1U);
            EXPECT_LE(static_cast<double>(result.bytes), 2.03 * 4.2e6);
        }
    }
}

TEST(StateLines, ADonorWhoseTrainerLocksChunksIsSlowerAndRight) {
    auto lines = line({20, 23'300'000}, 2, milliseconds(5));
    lines.lock = 0.1;
    expect_good(lines, 1.03);
}

}  // namespace
}  // namespace starling::peer_virtual
