// Goal: a model learns labels of each kind, and a batch that is not possible is refused and changes
// nothing. Method: small made-up problems through the engine, whose loss is compared with the best
// that an answer can reach that is the same for all samples.

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>
#include <string>

#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/engine_net.hpp"

namespace starling::compute {
namespace {

constexpr std::size_t kInputs = 6;

struct Made {
    std::vector<float> values;
    std::vector<float> targets;

    [[nodiscard]] Batch batch() const { return {values, {}, targets}; }
};

struct Net : EngineNet {
    explicit Net(const Task& task, const std::string& model = "mlp?hidden=32")
        : EngineNet(task, model, {64, 200}, "adamw?lr=0.01&weight_decay=0") {}
};

/// Two labels that depend on the values, and on each other in nothing: in a third of the samples
/// the second one holds.
Made labelled(std::size_t count, std::uint64_t seed) {
    Rng rng(seed);
    Made made;
    for (std::size_t n = 0; n < count; ++n) {
        std::vector<double> x;
        for (std::size_t i = 0; i < kInputs; ++i) x.push_back(rng.normal());
        made.values.insert(made.values.end(), x.begin(), x.end());
        made.targets.push_back(x[0] > 0.0 ? 1.0F : 0.0F);
        made.targets.push_back(x[1] + x[2] > 0.6 ? 1.0F : 0.0F);
    }
    return made;
}

/// Two smooth functions of the values, of different size.
Made measured(std::size_t count, std::uint64_t seed) {
    Rng rng(seed);
    Made made;
    for (std::size_t n = 0; n < count; ++n) {
        std::vector<double> x;
        for (std::size_t i = 0; i < kInputs; ++i) x.push_back(rng.normal());
        made.values.insert(made.values.end(), x.begin(), x.end());
        made.targets.push_back(static_cast<float>(x[0] - 2.0 * x[1] + 1.0));
        made.targets.push_back(static_cast<float>(0.5 * x[2] * x[2]));
    }
    return made;
}

double mean_of(const std::vector<float>& targets, std::size_t column) {
    double sum = 0.0;
    for (std::size_t i = column; i < targets.size(); i += 2) sum += static_cast<double>(targets[i]);
    return 2.0 * sum / static_cast<double>(targets.size());
}

/// The mean entropy of two labels.
double entropy_of(const std::vector<float>& targets) {
    double sum = 0.0;
    for (std::size_t column = 0; column < 2; ++column) {
        const double p = mean_of(targets, column);
        sum -= p * std::log(p) + (1.0 - p) * std::log(1.0 - p);
    }
    return sum / 2.0;
}

double variance_of(const std::vector<float>& targets) {
    double sum = 0.0;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        sum += std::pow(static_cast<double>(targets[i]) - mean_of(targets, i % 2), 2);
    }
    return sum / static_cast<double>(targets.size());
}

TEST(LabelKind, ANetLearnsLabelsThatMayHoldAtOnce) {
    for (const auto* model : {"mlp?hidden=32", "tabular?hidden=32"}) {
        for (const auto& weights : {std::vector<float>{}, std::vector<float>{1.0F, 2.0F}}) {
            Net net({{kInputs}, 2, 0, LabelKind::Classes, weights}, model);
            const auto test = labelled(200, 999);
            for (std::uint64_t i = 0; i < 300; ++i) {
                const auto made = labelled(64, i);
                const auto result = net.engine->step(made.batch(), 0.01);
                ASSERT_TRUE(result.has_value()) << result.error().message;
                EXPECT_LE(result->correct, 128U);
            }
            const auto result = *net.engine->evaluate(test.batch());
            EXPECT_EQ(result.samples, 400U);
            EXPECT_LT(result.loss(), 0.35 * entropy_of(test.targets)) << model;
            EXPECT_GT(result.accuracy(), 0.93) << model;
        }
    }
}

TEST(LabelKind, ANetLearnsNumbers) {
    for (const double beta : {0.0, 0.5}) {
        Net net({{kInputs}, 2, 0, LabelKind::Numbers, {}, beta});
        const auto test = measured(200, 999);
        for (std::uint64_t i = 0; i < 400; ++i) {
            const auto made = measured(64, i);
            const auto result = net.engine->step(made.batch(), 0.01);
            ASSERT_TRUE(result.has_value()) << result.error().message;
            EXPECT_EQ(result->correct, 0U);
        }
        const auto result = *net.engine->evaluate(test.batch());
        EXPECT_EQ(result.samples, 400U);
        EXPECT_FALSE(result.has_accuracy);
        EXPECT_LT(result.loss(), 0.1 * variance_of(test.targets)) << beta;
        EXPECT_LT(result.absolute_error(), std::sqrt(result.loss()));
    }
}

TEST(LabelKind, RowsBeyondAPartialBatchCountForNothing) {
    for (const auto kind : {LabelKind::Classes, LabelKind::Numbers}) {
        Net net({{kInputs}, 2, 0, kind});
        const auto all = kind == LabelKind::Classes ? labelled(90, 4) : measured(90, 4);
        const auto part = [&](std::size_t begin, std::size_t end) {
            const auto values = std::span<const float>(all.values);
            const auto targets = std::span<const float>(all.targets);
            return *net.engine->evaluate(
                {values.subspan(begin * kInputs, (end - begin) * kInputs),
                 {},
                 targets.subspan(begin * 2, (end - begin) * 2)}
            );
        };
        const auto whole = part(0, 90);
        auto sum = part(0, 37);
        sum += part(37, 90);
        EXPECT_EQ(whole.samples, 180U);
        EXPECT_EQ(sum.samples, whole.samples);
        EXPECT_EQ(sum.correct, whole.correct);
        EXPECT_NEAR(sum.loss_sum, whole.loss_sum, 1e-6 * whole.loss_sum);
        EXPECT_NEAR(sum.absolute_sum, whole.absolute_sum, 1e-6 * whole.absolute_sum);
        EXPECT_EQ(net.engine->evaluate({})->samples, 0U);
    }
}

TEST(LabelKind, WeightsOfClassesPullTowardsTheirClass) {
    // Labels that nothing in the values tells: the net learns their shares alone.
    const auto log_odds = [](std::vector<float> weights) {
        Net net({{1}, 2, 1, LabelKind::Class, std::move(weights)}, "mlp?hidden=4");
        const std::vector<float> values(64, 1.0F);
        std::vector<std::int32_t> labels(64, 0);
        std::fill_n(labels.begin(), 16, 1);
        for (int i = 0; i < 400; ++i) {
            EXPECT_TRUE(net.engine->step({values, labels}, 0.01).has_value());
        }
        const std::vector<float> value{1.0F};
        const std::vector<std::int32_t> zero{0};
        const std::vector<std::int32_t> one{1};
        return net.engine->evaluate({value, zero})->loss() -
               net.engine->evaluate({value, one})->loss();
    };
    EXPECT_NEAR(log_odds({}), std::log(16.0 / 48.0), 0.02);
    EXPECT_NEAR(log_odds({1.0F, 6.0F}), std::log(6.0 * 16.0 / 48.0), 0.02);
}

/// Expects that an engine refuses a batch with this part in its message, and changes nothing.
void expect_refused(Net& net, const Batch& batch, const std::string& part) {
    const auto before = contents(*net.store);
    const auto state = net.engine->optimizer_state();
    const std::vector<float> moments(state.begin(), state.end());
    const auto stepped = net.engine->step(batch, 0.1);
    ASSERT_TRUE(stepped.has_error());
    EXPECT_EQ(stepped.error().code, FaultCode::BadValue);
    EXPECT_NE(stepped.error().message.find(part), std::string::npos) << stepped.error().message;
    EXPECT_TRUE(net.engine->profile(batch, []() -> double { return 0.0; }).has_error());
    EXPECT_EQ(contents(*net.store), before);
    EXPECT_TRUE(std::equal(moments.begin(), moments.end(), state.begin()));
}

TEST(LabelKind, ABatchThatIsNotPossibleIsRefusedAndChangesNothing) {
    Net net({{kInputs}, 3, 1});
    std::vector<float> values(64 * kInputs, 0.5F);
    std::vector<std::int32_t> labels(64, 2);
    ASSERT_TRUE(net.engine->step({values, labels}, 0.01).has_value());
    labels[63] = 3;
    expect_refused(net, {values, labels}, "sample 63 of the batch: label 0 is 3");
    EXPECT_TRUE(net.engine->evaluate({values, labels}).has_error());
    labels[63] = 0;
    values[kInputs] = std::numeric_limits<float>::quiet_NaN();
    expect_refused(net, {values, labels}, "sample 1 of the batch: value 0 is nan");
    values[kInputs] = 0.0F;
    const auto few = std::span<const float>(values).first(10 * kInputs);
    const auto ten = std::span<const std::int32_t>(labels).first(10);
    expect_refused(net, {few, ten}, "64 samples, not 10");
    expect_refused(net, {values, ten}, "does not fit");
    expect_refused(net, {values, labels, few}, "does not fit");
    EXPECT_TRUE(net.engine->step({values, labels}, 0.01).has_value());
    EXPECT_TRUE(net.engine->evaluate({few, ten}).has_value());
}

TEST(LabelKind, ATokenOutsideTheVocabularyIsRefused) {
    Net net({{4}, 7, 4}, "gpt?layers=1&heads=1&dim=8");
    std::vector<float> tokens(64 * 4, 6.0F);
    const std::vector<std::int32_t> labels(64 * 4, 6);
    EXPECT_TRUE(net.engine->step({tokens, labels}, 0.01).has_value());
    for (const float wild : {7.0F, 1e9F, -1.0F, 2.5F}) {
        tokens[9] = wild;
        expect_refused(net, {tokens, labels}, "sample 2 of the batch: value 1 is");
    }
}

}  // namespace
}  // namespace starling::compute
