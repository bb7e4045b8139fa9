// Goal: two peers with unlike data that join what their batch norms have seen get the statistics of the mixture, and
// evaluations use what was set. Method: a net whose first layer is a norm, so that its statistics can be counted by hand.

#include <array>
#include <cmath>
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "tests/unit/compute/support/engine_net.hpp"

namespace starling::compute {
namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kColumns = 3;

struct Samples {
    Samples(double centre, std::uint64_t seed) {
        Rng rng(seed);
        for (std::size_t i = 0; i < kBatch * kColumns; ++i) {
            values.push_back(static_cast<float>(centre + rng.normal()));
        }
        for (std::size_t i = 0; i < kBatch; ++i) labels.push_back(static_cast<int>(rng.below(2)));
    }

    [[nodiscard]] Batch batch() const { return {values, labels, {}}; }

    std::vector<float> values;
    std::vector<std::int32_t> labels;
};

Task columns() {
    Task task;
    task.sample_shape = {kColumns};
    task.classes = 2;
    return task;
}

struct Net : EngineNet {
    explicit Net(const char* model = "tabular?norm=1&hidden=8")
        : EngineNet(columns(), model, {kBatch, kBatch}, "sgd") {}

    [[nodiscard]] std::vector<float> parameters() const {
        std::vector<float> all(store->layout().elements());
        store->read_all(all);
        return all;
    }
};

TEST(Norms, OfTwoPeersWithUnlikeDataJoinToTheStatisticsOfTheMixture) {
    std::array<NormMoments, 2> parts;
    NormMoments in_one;
    std::array<double, kColumns> sums{};
    std::array<double, kColumns> squares{};
    std::size_t count = 0;
    Net one;
    for (std::size_t peer = 0; peer < 2; ++peer) {
        Net net;
        ASSERT_EQ(net.engine->norm_channels(), kColumns);
        const auto before = net.parameters();
        for (std::uint64_t i = 0; i < 4; ++i) {
            const Samples samples(peer == 0 ? -3.0 : 5.0, 10 * peer + i);
            ASSERT_TRUE(net.engine->observe_norms(samples.batch(), parts.at(peer)).has_value());
            ASSERT_TRUE(one.engine->observe_norms(samples.batch(), in_one).has_value());
            for (std::size_t k = 0; k < samples.values.size(); ++k) {
                const auto x = static_cast<double>(samples.values[k]);
                sums.at(k % kColumns) += x;
                squares.at(k % kColumns) += x * x;
            }
            count += kBatch;
        }
        EXPECT_EQ(net.parameters(), before) << "looking changes nothing";
    }
    auto whole = parts[0];
    ASSERT_TRUE(add_moments(whole, parts[1]).has_value());
    ASSERT_EQ(whole.samples, static_cast<double>(count));
    one.engine->set_norms(whole);
    const auto after = one.parameters();
    for (std::size_t c = 0; c < kColumns; ++c) {
        const double mean = sums.at(c) / static_cast<double>(count);
        const double variance = squares.at(c) / static_cast<double>(count) - mean * mean;
        EXPECT_GT(variance, 15.0) << "the means of both are far apart";
        EXPECT_NEAR(whole.means[c], mean, 1e-4);
        EXPECT_NEAR(whole.variances[c], variance, 1e-5 * variance);
        EXPECT_NEAR(in_one.means[c], whole.means[c], 1e-6);
        EXPECT_NEAR(in_one.variances[c], whole.variances[c], 1e-6 * variance);
        for (const auto& info : one.store->layout().parameters()) {
            if (!info.buffer) continue;
            const double set = static_cast<double>(after[info.offset + c]);
            EXPECT_FLOAT_EQ(
                static_cast<float>(set),
                static_cast<float>(info.variance ? whole.variances[c] : whole.means[c])
            );
        }
    }
    // Evaluations read them: a sample in the middle of the mixture is fed as zeros.
    std::vector<float> middle(kColumns * kBatch);
    for (std::size_t i = 0; i < middle.size(); ++i) {
        middle[i] = static_cast<float>(whole.means[i % kColumns]);
    }
    const std::vector<std::int32_t> labels(kBatch);
    Net fresh;
    const std::vector<float> zeros(middle.size());
    ASSERT_TRUE(fresh.engine->evaluate({zeros, labels, {}}).has_value());
    const auto wanted = fresh.engine->answers();
    ASSERT_TRUE(one.engine->evaluate({middle, labels, {}}).has_value());
    const auto got = one.engine->answers();
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 1e-5F);
}

TEST(Norms, WhereThereAreNoneNothingIsSeen) {
    Net net("tabular?hidden=8");
    EXPECT_EQ(net.engine->norm_channels(), 0U);
    NormMoments whole;
    ASSERT_TRUE(net.engine->observe_norms(Samples(0.0, 1).batch(), whole).has_value());
    EXPECT_EQ(whole, NormMoments{});
}

TEST(Norms, OfAWholeNetAreSeenInTheOrderInWhichTheyAreSet) {
    Task task;
    task.sample_shape = {3, 8, 8};
    task.classes = 4;
    EngineNet net(task, "resnet20", {8, 8}, "sgd");
    Rng rng(2);
    std::vector<float> values;
    for (int i = 0; i < 8 * 3 * 64; ++i) values.push_back(static_cast<float>(rng.normal()));
    const std::vector<std::int32_t> labels{0, 1, 2, 3, 0, 1, 2, 3};
    const Batch batch{values, labels, {}};
    NormMoments whole;
    ASSERT_TRUE(net.engine->observe_norms(batch, whole).has_value());
    ASSERT_EQ(whole.means.size(), net.engine->norm_channels());
    net.engine->set_norms(whole);
    // With the batch's own statistics an evaluation answers as the training step does.
    const auto evaluated = *net.engine->evaluate(batch);
    const auto step = net.engine->step(batch, 0.0);
    ASSERT_TRUE(step.has_value());
    EXPECT_NEAR(evaluated.loss(), static_cast<double>(step->loss), 1e-3);
}

}  // namespace
}  // namespace starling::compute
