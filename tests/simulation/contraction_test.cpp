// Goal: peers that start from unrelated values come together on a lattice nearly as fast as in f32, at
// any n, also above the number of partners that anything is remembered of, and although most meetings are
// the first of their pair. Method: real averagers in virtual time, without training; seconds until the
// distance from the mean is a thousandth and a hundred-thousandth of what it was. The table is printed;
// docs/results/scale.md has it.

#include <algorithm>
#include <cstdio>
#include <gtest/gtest.h>
#include <string>

#include "tests/simulation/simulation.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
using gossip::Encoding;
using peer_virtual::SwarmOptions;

constexpr std::size_t kChunks = 2;
constexpr std::size_t kElements = 4096;
constexpr double kLook = 0.1;
constexpr double kMinute = 60.0;
constexpr double kCalm = 20.0;

struct Contraction {
    double to_thousandth = kMinute;  ///< seconds
    double to_hundred_thousandth = kMinute;
    double left = 0.0;   ///< of the first distance from the mean, at the end of the run
    double bits = 0.0;   ///< of each parameter, each way, in an exchange
    double again = 0.0;  ///< share of the offers that could not be decoded

    Contraction& operator+=(const Contraction& other) {
        to_thousandth += other.to_thousandth;
        to_hundred_thousandth += other.to_hundred_thousandth;
        left += other.left;
        bits += other.bits;
        again += other.again;
        return *this;
    }
};

SwarmOptions unrelated(std::size_t peers, Encoding encoding, std::uint64_t seed) {
    SwarmOptions o;
    o.peers = peers;
    o.seed = seed;
    o.averaging.emplace();
    o.averaging->config.encoding = encoding;
    o.averaging->config.adapt_window = true;
    o.averaging->floats = peer_virtual::FloatVector::Shape{kChunks, kElements, 0.0};
    // As eight steps of 50 ms.
    o.averaging->mix_every = 400ms;
    return o;
}

/// Lets unrelated peers average for 20 s, or until a hundred-thousandth of the distance is left, or for a
/// minute.
Contraction contract(std::size_t peers, Encoding encoding, std::uint64_t seed) {
    Simulation simulation(unrelated(peers, encoding, seed));
    auto& swarm = simulation.swarm();
    swarm.quiesce();
    EXPECT_TRUE(simulation.form(20ms * static_cast<std::int64_t>(peers)) || simulation.passed());
    const double first = swarm.consensus_error();
    swarm.resume_mixing();
    Contraction result;
    const auto begin = swarm.now();
    double now = 0.0;
    while (now < kMinute && result.to_hundred_thousandth == kMinute) {
        swarm.run_for(from_seconds(kLook));
        now += kLook;
        const double left = swarm.consensus_error() / first;
        if (left <= 1e-3) result.to_thousandth = std::min(result.to_thousandth, now);
        if (left <= 1e-5) result.to_hundred_thousandth = now;
    }
    // What is left then is a floor.
    swarm.run_until(begin + from_seconds(std::max(now, kCalm)));
    result.left = swarm.consensus_error() / first;
    double bytes = 0.0;
    double exchanges = 0.0;
    double again = 0.0;
    for (const auto node : swarm.running()) {
        const auto& counters = swarm.averager(node).counters();
        bytes += static_cast<double>(counters.payload_bytes);
        // Both sides count a commit.
        exchanges += static_cast<double>(counters.committed) / 2.0;
        again += static_cast<double>(counters.asked_again);
    }
    // Both sides count the bytes of both directions.
    result.bits = 8.0 * bytes / 4.0 / exchanges / (kChunks * kElements);
    result.again = again / exchanges / kChunks;
    EXPECT_TRUE(simulation.passed()) << repeat_command(seed);
    return result;
}

Contraction mean_of(std::size_t peers, Encoding encoding) {
    Contraction sum{0.0, 0.0, 0.0, 0.0, 0.0};
    const auto all = seeds(peers <= 32 ? 3 : 1);
    for (const auto seed : all) sum += contract(peers, encoding, seed);
    const auto count = static_cast<double>(all.size());
    return {
        sum.to_thousandth / count,
        sum.to_hundred_thousandth / count,
        sum.left / count,
        sum.bits / count,
        sum.again / count};
}

class Contracts : public testing::TestWithParam<std::size_t> {};

TEST_P(Contracts, OnALatticeNearlyAsFastAsInFloats) {
    const auto floats = mean_of(GetParam(), Encoding::F32);
    for (const auto encoding : {Encoding::F32, Encoding::Lattice8, Encoding::Lattice4}) {
        const auto row = encoding == Encoding::F32 ? floats : mean_of(GetParam(), encoding);
        std::printf(
            "| %zu | %s | %.1f | %.1f | %.1e | %.2f | %.2f %% |\n",
            GetParam(),
            std::string(gossip::to_string(encoding)).c_str(),
            row.to_thousandth,
            row.to_hundred_thousandth,
            row.left,
            row.bits,
            100.0 * row.again
        );
        EXPECT_LE(row.left, 1e-6) << "no floor that rounding could not explain";
        EXPECT_LE(row.again, 0.01);
        // In floats four peers are equal after two exchanges each, which no rounding can be.
        if (GetParam() == 4) continue;
        EXPECT_LE(row.to_thousandth, 1.3 * floats.to_thousandth) << gossip::to_string(encoding);
        EXPECT_LE(row.to_hundred_thousandth, 1.3 * floats.to_hundred_thousandth)
            << gossip::to_string(encoding);
    }
}

/// Returns the mean relative distance of peers that train, each of whose steps moves every value by itself.
double distance_in_training(Encoding encoding) {
    constexpr int kLooks = 20;
    double sum = 0.0;
    const auto all = seeds(1);
    for (const auto seed : all) {
        auto o = unrelated(16, encoding, seed);
        o.averaging->step_deviation = 0.02;
        Simulation simulation(o);
        auto& swarm = simulation.swarm();
        EXPECT_TRUE(simulation.form() || simulation.passed());
        simulation.run_for(10s);
        for (int look = 0; look < kLooks; ++look) {
            simulation.run_for(500ms);
            sum += swarm.consensus_error() / kLooks;
        }
        EXPECT_TRUE(simulation.passed()) << repeat_command(seed);
    }
    return sum / static_cast<double>(all.size());
}

TEST(Contraction, PeersThatTrainAreNearlyAsNearOnFourBitsAsOnEight) {
    const double floats = distance_in_training(Encoding::F32);
    const double eight = distance_in_training(Encoding::Lattice8);
    const double four = distance_in_training(Encoding::Lattice4);
    std::printf("| training | %.4f | %.4f | %.4f |\n", floats, eight, four);
    EXPECT_LE(eight, 1.02 * floats);
    EXPECT_LE(four, 1.2 * eight);
}

INSTANTIATE_TEST_SUITE_P(Peers, Contracts, testing::Values(4U, 8U, 16U, 32U, 64U, 128U));

}  // namespace
}  // namespace starling::simulation
