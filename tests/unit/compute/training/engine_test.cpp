// Goal: an engine learns, evaluates partial batches correctly, and changes nothing in a step that
// it is asked to interrupt.
// Method: a synthetic separable problem through the public interface only.

#include "compute/training/engine.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <string>

#include "compute/models/models.hpp"
#include "compute/training/devices.hpp"
#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/devices.hpp"
#include "tests/unit/compute/support/synthetic.hpp"
#include "tests/unit/compute/support/threads.hpp"

namespace starling::compute {
namespace {

struct Setup {
    EngineOptions options;
    std::unique_ptr<ParameterStore> store;
    std::unique_ptr<Engine> engine;
};

Setup make(const char* model, int threads = 1) {
    Setup setup;
    setup.options.device = test_device().name();
    setup.options.model = model;
    setup.options.task = {{1, 12, 12}, 6};
    setup.options.batch = 32;
    setup.options.eval_batch = 50;
    setup.options.threads = threads_here(threads);
    const auto layout = model_layout(model, setup.options.task);
    EXPECT_TRUE(layout.has_value());
    setup.store = std::make_unique<ParameterStore>(*layout);
    setup.store->initialize(Rng(11));
    auto engine = Engine::create(setup.options, *setup.store);
    EXPECT_TRUE(engine.has_value());
    setup.engine = std::move(*engine);
    return setup;
}

void expect_learns(const char* model, int threads) {
    auto setup = make(model, threads);
    const auto test = synthetic_samples(setup.options.task, 50, 999);
    EXPECT_LT(setup.engine->evaluate({test.values, test.labels})->accuracy(), 0.5);
    float first = 0.0F;
    float last = 0.0F;
    for (std::uint64_t step = 0; step < 60; ++step) {
        const auto batch = synthetic_samples(setup.options.task, 32, step);
        const auto result = *setup.engine->step({batch.values, batch.labels}, 0.02);
        EXPECT_FALSE(result.interrupted);
        EXPECT_LE(result.correct, 32U);
        (step == 0 ? first : last) = result.loss;
    }
    EXPECT_LT(last, 0.5F * first);
    const auto end = *setup.engine->evaluate({test.values, test.labels});
    EXPECT_GT(end.accuracy(), 0.95);
    EXPECT_LT(end.loss(), 0.3);
}

TEST(Engine, MlpLearnsASeparableProblem) {
    expect_learns("mlp?hidden=64", 1);
}

TEST(Engine, CnnLearnsASeparableProblemOnTwoThreads) {
    expect_learns("cnn?channels=8,16&hidden=32&kernel=3", 2);
}

TEST(Engine, OneSeedOneThreadGivesOneModel) {
    auto a = make("cnn?channels=4&hidden=8");
    auto b = make("cnn?channels=4&hidden=8");
    for (std::uint64_t step = 0; step < 3; ++step) {
        const auto batch = synthetic_samples(a.options.task, 32, step);
        (void)a.engine->step({batch.values, batch.labels}, 0.1);
        (void)b.engine->step({batch.values, batch.labels}, 0.1);
    }
    EXPECT_EQ(contents(*a.store), contents(*b.store));
}

TEST(Engine, PartialEvaluationsAddUpToTheWhole) {
    auto setup = make("cnn?channels=4&hidden=8");
    const auto all = synthetic_samples(setup.options.task, 50, 3);
    const auto whole = *setup.engine->evaluate({all.values, all.labels});
    const auto values = std::span<const float>(all.values);
    const auto labels = std::span<const std::int32_t>(all.labels);
    const auto head = *setup.engine->evaluate({values.first(37 * 144), labels.first(37)});
    const auto tail = *setup.engine->evaluate({values.subspan(37 * 144), labels.subspan(37)});
    EXPECT_EQ(whole.samples, 50U);
    EXPECT_EQ(head.samples + tail.samples, 50U);
    EXPECT_EQ(head.correct + tail.correct, whole.correct);
    EXPECT_NEAR(head.loss_sum + tail.loss_sum, whole.loss_sum, 1e-3);
    EXPECT_EQ(setup.engine->evaluate({})->samples, 0U);
}

TEST(Engine, EvaluationSeesTheParametersAsTheyAreNow) {
    auto setup = make("mlp?hidden=16");
    const auto all = synthetic_samples(setup.options.task, 50, 3);
    const auto before = *setup.engine->evaluate({all.values, all.labels});
    for (std::size_t c = 0; c < setup.store->layout().chunks().size(); ++c) {
        setup.store->write(c, std::vector<float>(setup.store->layout().chunks()[c].elements, 0.0F));
    }
    const auto after = *setup.engine->evaluate({all.values, all.labels});
    EXPECT_NE(before.loss_sum, after.loss_sum);
    EXPECT_NEAR(after.loss(), std::log(6.0), 1e-5);
}

TEST(Engine, AStepAndAnEvaluationSeeWhatWasMixedInSinceTheLastUpdate) {
    // Plain copies of weights in the first, blocked ones in the second.
    for (const char* model : {"mlp?hidden=300", "cnn?channels=4&hidden=8"}) {
        auto used = make(model);
        const auto batch = synthetic_samples(used.options.task, 32, 3);
        (void)used.engine->step({batch.values, batch.labels}, 0.1);
        (void)used.engine->evaluate({batch.values, batch.labels});
        const std::vector<float> delta(used.store->layout().chunks()[0].elements, 0.03F);
        ASSERT_TRUE(used.store->try_add(0, std::as_bytes(std::span(delta))));
        auto fresh = make(model);
        fresh.store->write_all(contents(*used.store));
        EXPECT_TRUE(fresh.engine->restore_optimizer_state(used.engine->optimizer_state()));
        EXPECT_EQ(
            used.engine->evaluate({batch.values, batch.labels})->loss_sum,
            fresh.engine->evaluate({batch.values, batch.labels})->loss_sum
        );
        const auto after = *used.engine->step({batch.values, batch.labels}, 0.1);
        EXPECT_EQ(after.loss, fresh.engine->step({batch.values, batch.labels}, 0.1)->loss);
        EXPECT_EQ(contents(*used.store), contents(*fresh.store)) << model;
    }
}

TEST(Engine, InterruptedStepUpdatesNothingAndTheNextOneRuns) {
    auto setup = make("mlp?hidden=16");
    const auto batch = synthetic_samples(setup.options.task, 32, 3);
    (void)setup.engine->step({batch.values, batch.labels}, 0.1);
    const auto before = contents(*setup.store);
    const auto state = setup.engine->optimizer_state();
    const std::vector<float> momentum(state.begin(), state.end());
    setup.engine->interrupt();
    EXPECT_TRUE(setup.engine->step({batch.values, batch.labels}, 0.1)->interrupted);
    EXPECT_EQ(contents(*setup.store), before);
    EXPECT_TRUE(std::equal(momentum.begin(), momentum.end(), state.begin()));
    EXPECT_FALSE(setup.engine->step({batch.values, batch.labels}, 0.1)->interrupted);
    EXPECT_NE(contents(*setup.store), before);
}

TEST(Engine, AStepWithoutAFiniteLossChangesNothing) {
    // The second has statistics that follow the batches.
    for (const char* model : {"mlp?hidden=16", "resnet20"}) {
        auto setup = make(model);
        const auto batch = synthetic_samples(setup.options.task, 32, 3);
        (void)setup.engine->step({batch.values, batch.labels}, 0.1);
        const auto sound = contents(*setup.store);
        const auto& parameters = setup.store->layout().parameters();
        const auto bias = std::find_if(
            parameters.rbegin(), parameters.rend(), [](const auto& info) { return !info.buffer; }
        );
        auto spoilt = sound;
        spoilt[bias->offset] = std::numeric_limits<float>::infinity();
        setup.store->write_all(spoilt);
        EXPECT_FALSE(setup.store->finite());
        const auto state = setup.engine->optimizer_state();
        const std::vector<float> momentum(state.begin(), state.end());
        EXPECT_TRUE(setup.engine->step({batch.values, batch.labels}, 0.1)->unsound) << model;
        EXPECT_EQ(contents(*setup.store), spoilt) << model;
        EXPECT_TRUE(std::equal(momentum.begin(), momentum.end(), state.begin())) << model;
        setup.store->write_all(sound);
        EXPECT_FALSE(setup.engine->step({batch.values, batch.labels}, 0.1)->unsound) << model;
        EXPECT_TRUE(setup.store->finite());
        EXPECT_NE(contents(*setup.store), sound) << model;
    }
}

TEST(Engine, OptimizerStateRestores) {
    auto a = make("mlp?hidden=16");
    auto b = make("mlp?hidden=16");
    const auto batch = synthetic_samples(a.options.task, 32, 3);
    (void)a.engine->step({batch.values, batch.labels}, 0.1);
    (void)b.engine->step({batch.values, batch.labels}, 0.1);
    const auto state = a.engine->optimizer_state();
    EXPECT_TRUE(b.engine->restore_optimizer_state(std::vector<float>(state.size(), 0.0F)));
    (void)b.engine->step({batch.values, batch.labels}, 0.0);
    EXPECT_TRUE(b.engine->restore_optimizer_state(state));
    (void)a.engine->step({batch.values, batch.labels}, 0.1);
    (void)b.engine->step({batch.values, batch.labels}, 0.1);
    EXPECT_EQ(contents(*a.store), contents(*b.store));
}

TEST(Engine, FadingMomentumEndsAtZeroRatherThanAmongDenormals) {
    auto setup = make("mlp?hidden=16");
    // Black images give the first layer's weights a gradient of exactly zero.
    const std::vector<float> black(32 * 144, 0.0F);
    const std::vector<std::int32_t> labels(32, 1);
    const auto state = setup.engine->optimizer_state();
    EXPECT_TRUE(setup.engine->restore_optimizer_state(std::vector<float>(state.size(), 1e-37F)));
    for (int i = 0; i < 40; ++i) (void)setup.engine->step({black, labels}, 0.01);
    const auto& weight = setup.store->layout().parameters()[0];
    for (std::size_t i = 0; i < weight.elements; ++i) EXPECT_EQ(state[weight.offset + i], 0.0F);
    // The mode ends with the step.
    volatile float tiny = 1e-39F;
    EXPECT_GT(tiny * 1.0F, 0.0F);
}

/// Returns a field of what the system says of us, in bytes.
double resident(const char* field) {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        double kilobytes = 0;
        if (word == field && status >> kilobytes) return 1024.0 * kilobytes;
    }
    return 0.0;
}

bool reset_peak() {
    return static_cast<bool>(std::ofstream("/proc/self/clear_refs") << "5" << std::flush);
}

TEST(Engine, ChoosingAPrecisionNeverHoldsTwoPlans) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer's own memory counts as ours";
#endif
    EngineOptions options;
    options.model = "mlp?hidden=2048,2048,2048";
    options.task = {{1, 28, 28}, 10};
    options.eval_batch = 1;
    options.precision = Precision::Auto;
    // Both take equally long by this clock, so f32 stays: compiled, given up, and compiled again.
    options.stopwatch = [] { return 0.0; };
    ParameterStore store(*model_layout(options.model, options.task));
    if (!reset_peak()) GTEST_SKIP() << "this system does not forget a peak";
    const auto before = resident("VmRSS:");
    const auto engine = Engine::create(options, store);
    ASSERT_TRUE(engine.has_value());
    EXPECT_EQ((*engine)->precision(), Precision::F32);
    constexpr double kSlack = 16 << 20;
    const double grown = resident("VmHWM:") - before;
    EXPECT_LT(grown, 1.15 * static_cast<double>((*engine)->memory().total()) + kSlack);
}

TEST(Engine, BadOptionsAreRefusedWithOneLine) {
    auto setup = make("mlp?hidden=16");
    const auto refused = [&](auto change) {
        auto options = setup.options;
        change(options);
        const auto engine = Engine::create(options, *setup.store);
        EXPECT_TRUE(engine.has_error());
        return engine.has_error() ? engine.error().code : FaultCode::Io;
    };
    EXPECT_EQ(refused([](auto& o) { o.threads = 0; }), FaultCode::BadValue);
    EXPECT_EQ(refused([](auto& o) { o.batch = 0; }), FaultCode::BadValue);
    EXPECT_EQ(refused([](auto& o) { o.eval_batch = 1 << 20; }), FaultCode::BadValue);
    EXPECT_EQ(refused([](auto& o) { o.model = "gpt9"; }), FaultCode::Usage);
}

TEST(Engine, ProfileNamesEveryKernelAndUpdatesNothing) {
    auto setup = make("mlp?hidden=16");
    const auto batch = synthetic_samples(setup.options.task, 32, 3);
    const auto before = contents(*setup.store);
    const auto times =
        *setup.engine->profile({batch.values, batch.labels}, []() -> double { return 0.0; });
    EXPECT_GT(times.size(), 6U);
    EXPECT_EQ(contents(*setup.store), before);
}

TEST(Engine, RuntimeDescriptionNamesTheLibraries) {
    const auto text = (*find_device("cpu"))->describe();
    EXPECT_NE(text.find("oneDNN"), std::string::npos);
    EXPECT_NE(text.find("OpenBLAS"), std::string::npos);
}

}  // namespace
}  // namespace starling::compute
