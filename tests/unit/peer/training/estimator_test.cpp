// Goal: the estimate is a running mean over one batch after the other of the whole test set, and an
// evaluation of all replaces it. Method: an engine that takes every sample for a bright one, so that
// the labels that it was shown tell the accuracy.

#include "peer/training/estimator.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <vector>

#include "compute/metrics/tally.hpp"
#include "peer/terms/data_set.hpp"
#include "peer/terms/qualities.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/peer/training/tiny_data.hpp"

namespace starling::peer {
namespace {

class BrightEngine final : public compute::Engine {
public:
    /// It is sure of class 1 in any case, and the more the brighter a sample is.
    std::span<const float> answers() const override { return answers_; }

    Result<compute::EvalResult> evaluate(const compute::Batch& batch) override {
        if (interrupted_) return compute::EvalResult{};
        ++evaluations;
        if (evaluations == refused) return fail(FaultCode::BadValue, "label 0 is 7");
        first_value = batch.values.front();
        samples = batch.labels.size();
        correct =
            static_cast<std::uint64_t>(std::count(batch.labels.begin(), batch.labels.end(), 1));
        answers_.clear();
        for (std::size_t i = 0; i < samples; ++i) {
            const double bright = 0.7 + 0.1 * std::tanh(batch.values[i * 4]);
            answers_.push_back(static_cast<float>(std::log(1.0 - bright)));
            answers_.push_back(static_cast<float>(std::log(bright)));
        }
        compute::EvalResult result{0.25 * static_cast<double>(samples), correct, samples};
        result.has_accuracy = has_accuracy;
        return result;
    }

    Result<compute::StepResult> step(const compute::Batch&, double) override {
        return compute::StepResult{};
    }

    [[nodiscard]] std::size_t norm_channels() const override { return 0; }

    Result<void> observe_norms(const compute::Batch&, compute::NormMoments&) override { return {}; }

    void set_norms(const compute::NormMoments&) override {}

    void interrupt() override { interrupted_ = true; }

    [[nodiscard]] compute::DeviceInfo device() const override { return {}; }

    [[nodiscard]] Result<double> step_time(compute::Stopwatch /*stopwatch*/) override {
        return 0.0;
    }

    [[nodiscard]] std::span<const float> optimizer_state() const override { return {}; }

    bool restore_optimizer_state(std::span<const float>) override { return false; }

    void reset_optimizer() override {}

    [[nodiscard]] compute::MemoryUse memory() const override { return {}; }

    [[nodiscard]] compute::Precision precision() const override { return compute::Precision::F32; }

    [[nodiscard]] std::string describe() const override { return {}; }

    [[nodiscard]] Result<std::vector<compute::KernelTime>> profile(
        const compute::Batch&, compute::Stopwatch
    ) override {
        return std::vector<compute::KernelTime>{};
    }

    int refused = 0;  ///< the number of the evaluation that is refused
    bool has_accuracy = true;
    int evaluations = 0;
    std::uint64_t samples = 0;  ///< of the last evaluation, as the next two
    std::uint64_t correct = 0;
    float first_value = 0.0F;

private:
    bool interrupted_ = false;
    std::vector<float> answers_;
};

class Estimators : public ::testing::Test {
protected:
    Estimators() : sharded_(testing::tiny_shards()), shards_(sharded_.manifest, &sha256) {}

    void hold_all() {
        for (const auto& bytes : sharded_.shards) ASSERT_TRUE(shards_.put(bytes).has_value());
    }

    data::Sharded sharded_;
    data::ShardStore shards_;
    BrightEngine engine_;
    std::atomic<bool> stop_{false};
};

TEST_F(Estimators, WithoutTestSamplesThereIsNone) {
    Estimator estimator(shards_, 16, 1);
    EXPECT_FALSE(estimator.evaluate_next(engine_, stop_));
    EXPECT_EQ(estimator.evaluate_all(engine_, stop_).result.samples, 0U);
    EXPECT_FALSE(estimator.estimate().has_value());
}

TEST_F(Estimators, EachNewEvaluationCountsForHalfInTheEnd) {
    hold_all();
    Estimator estimator(shards_, 16, 1);
    double mean = 0.0;
    double weight = 0.0;
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(estimator.evaluate_next(engine_, stop_));
        ASSERT_EQ(engine_.samples, 16U);
        weight = weight / 2.0 + 1.0;
        mean += (static_cast<double>(engine_.correct) / 16.0 - mean) / weight;
        ASSERT_TRUE(estimator.estimate().has_value());
        EXPECT_DOUBLE_EQ(*estimator.estimate()->accuracy, mean);
        EXPECT_DOUBLE_EQ(estimator.estimate()->loss, 0.25);
    }
}

TEST_F(Estimators, TheBatchesGoRoundTheWholeTestSet) {
    hold_all();
    Estimator estimator(shards_, 20, 1);
    std::multiset<std::uint64_t> sizes;
    std::set<float> firsts;
    for (int i = 0; i < 9; ++i) {
        ASSERT_TRUE(estimator.evaluate_next(engine_, stop_));
        sizes.insert(engine_.samples);
        firsts.insert(engine_.first_value);
    }
    // 48 samples are two batches of 20 and one of 8, which comes at least every third time.
    EXPECT_GE(sizes.count(8), 2U);
    EXPECT_EQ(sizes.count(8) + sizes.count(20), 9U);
    EXPECT_LE(firsts.size(), 3U);
    EXPECT_GE(firsts.size(), 2U);
}

TEST_F(Estimators, PeersBeginAtDifferentBatches) {
    hold_all();
    std::set<float> firsts;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Estimator estimator(shards_, 16, seed);
        ASSERT_TRUE(estimator.evaluate_next(engine_, stop_));
        firsts.insert(engine_.first_value);
    }
    EXPECT_EQ(firsts.size(), 3U);
}

TEST_F(Estimators, AnEvaluationOfAllReplacesTheEstimateAndOutweighsTheNext) {
    hold_all();
    Estimator estimator(shards_, 16, 1);
    ASSERT_TRUE(estimator.evaluate_next(engine_, stop_));
    const auto all = estimator.evaluate_all(engine_, stop_);
    EXPECT_EQ(all.result.samples, 48U);
    EXPECT_EQ(all.result.correct, 24U);
    EXPECT_DOUBLE_EQ(*estimator.estimate()->accuracy, 0.5);
    ASSERT_TRUE(estimator.evaluate_next(engine_, stop_));
    // The whole set counts as three batches, halved to 1.5, and the next batch as one.
    const double batch = static_cast<double>(engine_.correct) / 16.0;
    EXPECT_DOUBLE_EQ(*estimator.estimate()->accuracy, 0.5 + (batch - 0.5) / 2.5);
    estimator.forget();
    EXPECT_FALSE(estimator.estimate().has_value());
}

TEST_F(Estimators, AnInterruptedOrStoppedEvaluationChangesNothing) {
    hold_all();
    Estimator estimator(shards_, 16, 1);
    stop_ = true;
    EXPECT_FALSE(estimator.evaluate_next(engine_, stop_));
    EXPECT_EQ(estimator.evaluate_all(engine_, stop_).result.samples, 0U);
    EXPECT_EQ(engine_.evaluations, 0);
    stop_ = false;
    engine_.interrupt();
    EXPECT_FALSE(estimator.evaluate_next(engine_, stop_));
    EXPECT_FALSE(estimator.estimate().has_value());
}

TEST_F(Estimators, ARefusedBatchCountsForNothingAndIsTold) {
    hold_all();
    engine_.refused = 2;
    Estimator estimator(shards_, 16, 1);
    const auto all = estimator.evaluate_all(engine_, stop_);
    EXPECT_EQ(engine_.evaluations, 3);
    EXPECT_EQ(all.result.samples, 32U);
    const auto fault = estimator.take_fault();
    ASSERT_TRUE(fault.has_value());
    EXPECT_EQ(fault->message, "test samples 16 to 31: label 0 is 7");
    EXPECT_FALSE(estimator.take_fault().has_value());
}

TEST_F(Estimators, TheNextBatchIsAnotherOneAfterARefusedOne) {
    hold_all();
    engine_.refused = 1;
    Estimator estimator(shards_, 16, 1);
    EXPECT_FALSE(estimator.evaluate_next(engine_, stop_));
    EXPECT_TRUE(estimator.take_fault().has_value());
    EXPECT_TRUE(estimator.evaluate_next(engine_, stop_));
    EXPECT_TRUE(estimator.estimate().has_value());
}

TEST_F(Estimators, NumbersHaveALossAndNoAccuracy) {
    hold_all();
    engine_.has_accuracy = false;
    Estimator estimator(shards_, 16, 1);
    ASSERT_TRUE(estimator.evaluate_next(engine_, stop_));
    EXPECT_FALSE(estimator.estimate()->accuracy.has_value());
    EXPECT_DOUBLE_EQ(estimator.estimate()->loss, 0.25);
}

TEST_F(Estimators, AWatchedQualityIsThatOfTheLastBatchesTogether) {
    hold_all();
    // A batch of two samples has mostly one class, and then no area under a curve.
    Estimator estimator(shards_, 2, 1);
    estimator.watch(compute::QualityKind::Auc);
    EXPECT_FALSE(estimator.estimate().has_value());
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(estimator.evaluate_next(engine_, stop_));
    const auto estimate = estimator.estimate();
    ASSERT_TRUE(estimate->quality.has_value());
    EXPECT_EQ(estimate->quality->kind, compute::QualityKind::Auc);
    EXPECT_GT(estimate->quality->value, 0.99);
    estimator.forget();
    EXPECT_FALSE(estimator.estimate().has_value());
    ASSERT_TRUE(estimator.evaluate_next(engine_, stop_));
    const bool both = engine_.correct == 1;
    EXPECT_EQ(estimator.estimate()->quality.has_value(), both) << "what was before is forgotten";
}

TEST_F(Estimators, AnEvaluationOfAllIsTheNewQualityToo) {
    hold_all();
    Estimator estimator(shards_, 2, 1);
    estimator.watch(compute::QualityKind::Balanced);
    const auto all = estimator.evaluate_all(engine_, stop_);
    EXPECT_EQ(all.value(compute::QualityKind::Accuracy), 0.5);
    EXPECT_EQ(all.value(compute::QualityKind::Balanced), 0.5);
    EXPECT_GT(*all.value(compute::QualityKind::Auc), 0.99);
    EXPECT_FALSE(all.value(compute::QualityKind::Bpb).has_value());
    EXPECT_EQ(
        estimator.estimate()->quality, (compute::Quality{compute::QualityKind::Balanced, 0.5})
    );
    ASSERT_TRUE(estimator.evaluate_next(engine_, stop_));
    // Two more samples beside 48 move it by a fiftieth at most.
    EXPECT_NEAR(estimator.estimate()->quality->value, 0.5, 0.02);
    EXPECT_FALSE(estimator.evaluate_test(engine_, stop_).has_value()) << "it is the same split";
}

/// Eight test shards of six samples; portions are two of them each.
class SharedEstimators : public ::testing::Test {
protected:
    SharedEstimators() : sharded_(many_shards()), shards_(sharded_.manifest, &sha256) {
        for (const auto& bytes : sharded_.shards) {
            EXPECT_TRUE(shards_.put(bytes).has_value());
        }
        estimator_.watch(compute::QualityKind::Auc);
    }

    static data::Sharded many_shards() {
        data::Dataset dataset;
        dataset.name = "tiny";
        dataset.shape = {1, 2, 2};
        dataset.classes = 2;
        dataset.train = testing::tiny_samples(12, 1);
        dataset.test = testing::tiny_samples(48, 2);
        return data::shard_dataset(dataset, 6, &sha256);
    }

    /// Returns the portions with these numbers.
    [[nodiscard]] std::shared_ptr<const std::vector<JudgedPortion>> share(
        const std::vector<std::size_t>& numbers
    ) const {
        const auto tests = testing::shard_ids(sharded_.manifest, data::Split::Test);
        EXPECT_EQ(tests.size(), 8U);
        std::vector<JudgedPortion> share;
        for (const auto i : numbers) {
            share.push_back({i, data::Split::Test, {tests[2 * i], tests[2 * i + 1]}});
        }
        return std::make_shared<const std::vector<JudgedPortion>>(std::move(share));
    }

    data::Sharded sharded_;
    data::ShardStore shards_;
    BrightEngine engine_;
    std::atomic<bool> stop_{false};
    Estimator estimator_{shards_, 5, 1};
};

TEST_F(SharedEstimators, EstimatesAndEvaluatesItsShareAlone) {
    estimator_.judge_by(share({1, 3}));
    std::multiset<std::uint64_t> sizes;
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(estimator_.evaluate_next(engine_, stop_));
        sizes.insert(engine_.samples);
    }
    EXPECT_EQ(sizes.count(4), 2U) << "24 samples are four batches of 5 and one of 4";
    EXPECT_EQ(estimator_.evaluate_all(engine_, stop_).result.samples, 24U);
    estimator_.judge_by(nullptr);
    EXPECT_EQ(estimator_.evaluate_all(engine_, stop_).result.samples, 48U);
    EXPECT_EQ(estimator_.take_words().size(), 0U) << "nothing is judged in shares";
}

TEST_F(SharedEstimators, TheWordsOfAllPortionsAddUpToTheEvaluationOfAll) {
    const auto whole = estimator_.evaluate_all(engine_, stop_);
    compute::EvalResult sum;
    auto tallies = empty_tallies(sharded_.manifest.schema.label);
    for (std::size_t i = 0; i < 4; ++i) {
        estimator_.judge_by(share({i}));
        const auto part = estimator_.evaluate_all(engine_, stop_);
        const auto words = estimator_.take_words();
        ASSERT_EQ(words.size(), 1U);
        EXPECT_EQ(words[0].portion, i);
        EXPECT_EQ(words[0].result.samples, 12U);
        EXPECT_EQ(words[0].result.correct, part.result.correct);
        sum += words[0].result;
        ASSERT_EQ(words[0].tallies.size(), tallies.size());
        for (std::size_t k = 0; k < tallies.size(); ++k) {
            const auto tally = compute::decode_tally(words[0].tallies[k]);
            ASSERT_TRUE(tally.has_value());
            ASSERT_TRUE(compute::merge(tallies[k], *tally).has_value());
        }
    }
    EXPECT_EQ(sum.samples, whole.result.samples);
    EXPECT_EQ(sum.correct, whole.result.correct);
    EXPECT_NEAR(sum.loss_sum, whole.result.loss_sum, 1e-9);
    EXPECT_EQ(
        compute::quality(tallies[0], compute::QualityKind::Auc),
        whole.value(compute::QualityKind::Auc)
    );
}

TEST_F(SharedEstimators, APortionThatIsNotWholeIsLeftOut) {
    data::ShardStore some(sharded_.manifest, &sha256);
    const auto tests = testing::shard_ids(sharded_.manifest, data::Split::Test);
    for (std::size_t i = 0; i < sharded_.shards.size(); ++i) {
        if (sharded_.manifest.shards[i].id == tests[3]) continue;
        ASSERT_TRUE(some.put(sharded_.shards[i]).has_value());
    }
    Estimator estimator(some, 5, 1);
    estimator.judge_by(share({0, 1}));
    EXPECT_EQ(estimator.evaluate_all(engine_, stop_).result.samples, 12U);
    const auto words = estimator.take_words();
    ASSERT_EQ(words.size(), 1U);
    EXPECT_EQ(words[0].portion, 0U);
}

TEST_F(Estimators, TargetsAreHeldAgainstTheValidSplitAndTheTestSplitIsReported) {
    const starling::testing::TemporaryDirectory directory;
    const auto file = directory.path() / "bright.csv";
    {
        std::ofstream rows(file);
        rows << "a,b,c,d,class\n";
        for (int i = 0; i < 200; ++i) {
            const int value = i % 2 == 1 ? 1000 + i : i;
            for (int column = 0; column < 4; ++column) rows << value << ',';
            rows << i % 2 << '\n';
        }
    }
    auto cut = cut_for_swarm("csv:" + file.string() + "?valid=0.3&test=0.2", "mlp");
    ASSERT_TRUE(cut.has_value());
    const auto& manifest = cut->sharded.manifest;
    data::ShardStore shards(manifest, &sha256);
    for (std::size_t i = 0; i < manifest.shards.size(); ++i) {
        ASSERT_TRUE(shards.put_known(manifest.shards[i].id, cut->sharded.shards[i]).has_value());
    }
    Estimator estimator(shards, 16, 1);
    EXPECT_EQ(
        estimator.evaluate_all(engine_, stop_).result.samples, manifest.samples(data::Split::Valid)
    );
    const auto before = estimator.estimate();
    const auto tested = estimator.evaluate_test(engine_, stop_);
    ASSERT_TRUE(tested.has_value());
    EXPECT_EQ(tested->result.samples, manifest.samples(data::Split::Test));
    EXPECT_GT(*tested->value(compute::QualityKind::Auc), 0.99);
    EXPECT_DOUBLE_EQ(estimator.estimate()->loss, before->loss);
}

}  // namespace
}  // namespace starling::peer
