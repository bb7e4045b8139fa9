// Goal: the weights of classes change what is trained as they say, and nothing else: under either weighting nets that
// see classes unlike often find the same border, and evaluations stay those of the scores. Method: the loss of one
// step beside a sum by hand over the answers; nets without hidden layers on two normal distributions.

#include <array>
#include <cmath>
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "tests/unit/compute/support/engine_net.hpp"

namespace starling::compute {
namespace {

constexpr std::int64_t kBatch = 64;

Task task_of(LabelKind kind, Weighting weighting, std::vector<float> weights) {
    Task task;
    task.sample_shape = {3};
    task.classes = 3;
    task.kind = kind;
    task.weights = std::move(weights);
    task.weighting = weighting;
    return task;
}

struct Samples {
    explicit Samples(std::uint64_t seed) {
        Rng rng(seed);
        for (std::int64_t i = 0; i < kBatch; ++i) {
            for (int k = 0; k < 3; ++k) values.push_back(static_cast<float>(rng.normal()));
            labels.push_back(static_cast<std::int32_t>(rng.below(3)));
            for (int k = 0; k < 3; ++k) targets.push_back(rng.chance(0.3) ? 1.0F : 0.0F);
        }
    }

    [[nodiscard]] Batch batch(LabelKind kind) const {
        if (kind == LabelKind::Class) return {values, labels, {}};
        return {values, {}, targets};
    }

    std::vector<float> values;
    std::vector<std::int32_t> labels;
    std::vector<float> targets;
};

/// The loss of these scores or log probabilities by its definition.
double class_loss(const Task& task, std::span<const float> scores, const Samples& samples) {
    double loss = 0.0;
    double total = 0.0;
    for (std::size_t n = 0; n < samples.labels.size(); ++n) {
        std::array<double, 3> row{};
        double sum = 0.0;
        for (std::size_t c = 0; c < 3; ++c) {
            const bool shift = task.weighting == Weighting::Scores;
            const double weight = shift ? static_cast<double>(task.weights[c]) : 1.0;
            row.at(c) = static_cast<double>(scores[3 * n + c]) - std::log(weight);
            sum += std::exp(row.at(c));
        }
        const auto label = static_cast<std::size_t>(samples.labels[n]);
        const bool weighs = task.weighting == Weighting::Loss;
        const double weight = weighs ? static_cast<double>(task.weights[label]) : 1.0;
        loss += weight * (std::log(sum) - row.at(label));
        total += weight;
    }
    return loss / total;
}

double labels_loss(const Task& task, std::span<const float> scores, const Samples& samples) {
    double loss = 0.0;
    for (std::size_t i = 0; i < samples.targets.size(); ++i) {
        const double weight = static_cast<double>(task.weights[i % 3]);
        const bool shift = task.weighting == Weighting::Scores;
        const double score = static_cast<double>(scores[i]) - (shift ? std::log(weight) : 0.0);
        const double p = 1.0 / (1.0 + std::exp(-score));
        const bool holds = samples.targets[i] > 0.5F;
        loss -= holds ? (shift ? 1.0 : weight) * std::log(p) : std::log(1.0 - p);
    }
    return loss / static_cast<double>(samples.targets.size());
}

TEST(ClassWeights, AStepMinimizesWhatTheWeightingSaysAndEvaluationsAreOfTheScores) {
    const Samples samples(5);
    const std::vector<float> weights{4.0F, 0.5F, 1.5F};
    for (const auto kind : {LabelKind::Class, LabelKind::Classes}) {
        EngineNet plain(task_of(kind, Weighting::Loss, {}), "mlp?hidden=8", {kBatch, 200}, "sgd");
        const auto unweighted = *plain.engine->evaluate(samples.batch(kind));
        for (const auto weighting : {Weighting::Loss, Weighting::Scores}) {
            const auto task = task_of(kind, weighting, weights);
            EngineNet net(task, "mlp?hidden=8", {kBatch, 200}, "sgd");
            const auto before = *net.engine->evaluate(samples.batch(kind));
            EXPECT_EQ(before.loss_sum, unweighted.loss_sum);
            EXPECT_EQ(before.correct, unweighted.correct);
            const auto answers = net.engine->answers();
            const double wanted = kind == LabelKind::Class ? class_loss(task, answers, samples)
                                                           : labels_loss(task, answers, samples);
            const auto step = net.engine->step(samples.batch(kind), 0.1);
            ASSERT_TRUE(step.has_value()) << step.error().message;
            EXPECT_NEAR(static_cast<double>(step->loss), wanted, 1e-5 * wanted);
            EXPECT_GT(std::abs(wanted - unweighted.loss()), 0.01) << "the weights do something";
        }
    }
}

/// A net trained where the second class is that share of the samples. Both classes are normal with deviation 1,
/// around -1 and 1. Returns how sure it is of the second class in the middle: of two classes that count alike, not.
double sureness_in_the_middle(double share, Weighting weighting, bool weighted) {
    Task task;
    task.sample_shape = {1};
    task.classes = 2;
    task.weighting = weighting;
    if (weighted) {
        task.weights = {static_cast<float>(0.5 / (1.0 - share)), static_cast<float>(0.5 / share)};
    }
    constexpr std::int64_t kMany = 2000;
    EngineNet net(task, "mlp?hidden=8", {kMany, 1}, "sgd");
    std::vector<float> values;
    std::vector<std::int32_t> labels;
    Rng rng(11);
    for (std::int64_t i = 0; i < kMany; ++i) {
        const bool second = static_cast<double>(i) < share * static_cast<double>(kMany);
        values.push_back(static_cast<float>(rng.normal() + (second ? 1.0 : -1.0)));
        labels.push_back(second ? 1 : 0);
    }
    for (int i = 0; i < 100; ++i) {
        const auto step = net.engine->step({values, labels, {}}, 0.1);
        EXPECT_TRUE(step.has_value() && !step->unsound);
    }
    const std::array<float, 1> middle{0.0F};
    const std::array<std::int32_t, 1> any{0};
    EXPECT_TRUE(net.engine->evaluate({middle, any, {}}).has_value());
    const auto answers = net.engine->answers();
    return static_cast<double>(answers[1] - answers[0]);
}

TEST(ClassWeights, NetsThatSeeClassesUnlikeOftenFindTheSameBorder) {
    const double few = sureness_in_the_middle(0.1, Weighting::Loss, false);
    const double many = sureness_in_the_middle(0.9, Weighting::Loss, false);
    EXPECT_LT(few, -1.5) << "the logarithm of 1 / 9 is -2.2";
    EXPECT_GT(many, 1.5);
    for (const auto weighting : {Weighting::Loss, Weighting::Scores}) {
        EXPECT_NEAR(sureness_in_the_middle(0.1, weighting, true), 0.0, 0.5);
        EXPECT_NEAR(sureness_in_the_middle(0.9, weighting, true), 0.0, 0.5);
    }
}

}  // namespace
}  // namespace starling::compute
