// Goal: whole training steps on the reference device and on the CPU end at the same parameters, for
// each kind of net and both optimizers, and in bf16 at nearly the same.
// Method: engines over equal stores on synthetic batches, through the public interface.

#include <cmath>
#include <gtest/gtest.h>

#include "compute/models/models.hpp"
#include "compute/training/devices.hpp"
#include "compute/training/engine.hpp"
#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/devices.hpp"
#include "tests/unit/compute/support/homes.hpp"
#include "tests/unit/compute/support/synthetic.hpp"
#include "tests/unit/compute/support/threads.hpp"

namespace starling::compute {
namespace {

struct Case {
    std::string model;
    Task task;
    std::string optimizer;
    std::int64_t batch = 4;
};

const Case kMlp{"mlp?hidden=24,12", {{1, 6, 6}, 5}, "sgd?lr=0.05&momentum=0.9"};
const Case kCnn{"cnn?channels=5,16&hidden=12&kernel=3", {{2, 8, 8}, 5}, "sgd?lr=0.05&momentum=0.9"};
const Case kResidual{"resnet20?width=4", {{3, 8, 8}, 5}, "sgd?lr=0.02&momentum=0.9"};
const Case kGpt{"gpt?layers=2&heads=2&dim=24", {{13}, 11}, "adamw?lr=0.001&clip=1"};

EngineOptions options_of(const Case& given) {
    EngineOptions options;
    options.model = given.model;
    options.task = given.task;
    options.batch = given.batch;
    options.eval_batch = 1;
    options.threads = threads_here(2);
    options.optimizer = *OptimizerSpec::parse(given.optimizer);
    return options;
}

struct Run {
    std::vector<float> losses;
    std::vector<float> parameters;
};

/// Labels follow from the values, so that there is something to learn.
Samples batch_of(const Case& given, std::uint64_t seed) {
    if (!given.model.starts_with("gpt")) {
        return synthetic_samples(given.task, static_cast<std::size_t>(given.batch), seed);
    }
    Rng rng(seed);
    Samples samples;
    const auto classes = static_cast<std::uint64_t>(given.task.classes);
    for (std::int64_t i = 0; i < given.batch * given.task.sample_shape[0]; ++i) {
        const auto token = rng.below(classes);
        samples.values.push_back(static_cast<float>(token));
        samples.labels.push_back(static_cast<std::int32_t>((token * 3 + 1) % classes));
    }
    return samples;
}

Run train(
    const Case& given, const EngineOptions& options, int steps, const HomeKind& home = kHostHome
) {
    auto store = store_in(home, *model_layout(options.model, options.task));
    store.initialize(Rng(5));
    auto engine = Engine::create(options, store);
    EXPECT_TRUE(engine.has_value()) << engine.error().message;
    Run run;
    for (int i = 0; i < steps; ++i) {
        const auto batch = batch_of(given, static_cast<std::uint64_t>(i));
        const double rate = options.optimizer.learning_rate;
        run.losses.push_back((*engine)->step({batch.values, batch.labels}, rate)->loss);
    }
    run.parameters = contents(store);
    return run;
}

void expect_devices_agree(const Case& given, double tolerance) {
    SCOPED_TRACE(given.model);
    auto options = options_of(given);
    options.device = test_device().name();
    const auto fast = train(given, options, 2);
    options.device = "reference";
    const auto plain = train(given, options, 2);
    for (std::size_t i = 0; i < plain.losses.size(); ++i) {
        EXPECT_NEAR(fast.losses[i], plain.losses[i], 1e-5 * std::abs(plain.losses[i]));
    }
    double worst = 0.0;
    for (std::size_t i = 0; i < plain.parameters.size(); ++i) {
        const double error =
            std::abs(static_cast<double>(fast.parameters[i] - plain.parameters[i]));
        if (!(error <= worst)) worst = error;
    }
    EXPECT_LE(worst, tolerance);
}

TEST(Device, TrainingStepsOnTheReferenceAndOnTheDeviceEndAlike) {
    expect_devices_agree(kMlp, 1e-6);
    expect_devices_agree(kCnn, 1e-6);
    expect_devices_agree(kResidual, 2e-5);
    // Adam divides a gradient by its own size, so that a rounding of a tiny one shows whole: a step
    // is bounded by the learning rate.
    expect_devices_agree(kGpt, 2e-4);
}

TEST(Device, TrainingGivesTheSameBitsWhereverTheParametersLie) {
    auto decaying = kCnn;
    decaying.optimizer = "adamw?lr=0.01&weight_decay=0.1&decay=matrices&accumulate=2";
    for (const auto& given : {kMlp, decaying, kResidual, kGpt}) {
        SCOPED_TRACE(given.model);
        auto options = options_of(given);
        options.device = test_device().name();
        const auto here = train(given, options, 4);
        const auto elsewhere = train(given, options, 4, kFileHome);
        EXPECT_EQ(here.losses, elsewhere.losses);
        EXPECT_EQ(here.parameters, elsewhere.parameters);
        EXPECT_NE(here.losses.front(), here.losses.back());
    }
}

void expect_bf16_follows(const Case& given) {
    SCOPED_TRACE(given.model);
    auto options = options_of(given);
    options.device = test_device().name();
    const auto exact = train(given, options, 20);
    options.precision = Precision::Bf16;
    const auto rounded = train(given, options, 20);
    EXPECT_NE(exact.losses.back(), rounded.losses.back());
    EXPECT_LT(rounded.losses.back(), rounded.losses.front());
    for (std::size_t i = 0; i < exact.losses.size(); ++i) {
        EXPECT_NEAR(rounded.losses[i], exact.losses[i], 2e-2 * std::abs(exact.losses[i])) << i;
    }
}

TEST(Device, TwentyStepsInBf16FollowThoseInF32) {
    if (!has_bf16(test_device())) GTEST_SKIP() << test_device().name() << " has no bf16";
    auto cnn = kCnn;
    cnn.batch = 32;
    expect_bf16_follows(cnn);
    auto gpt = kGpt;
    gpt.batch = 8;
    expect_bf16_follows(gpt);
}

TEST(Device, TwentyStepsOfAResidualNetInBf16FollowThoseInF32) {
    if (!has_bf16(test_device())) GTEST_SKIP() << test_device().name() << " has no bf16";
    // Larger images and smaller steps than above: a batch norm over few values, and weights that
    // move far, would amplify any rounding until the two runs part.
    Case residual{"resnet20?width=8", {{3, 16, 16}, 5}, "sgd?lr=0.002&momentum=0.9"};
    residual.batch = 32;
    expect_bf16_follows(residual);
}

TEST(Device, AutoTakesF32WithoutAStopwatchAndSaysWhatItTook) {
    auto options = options_of(kMlp);
    options.precision = Precision::Auto;
    ParameterStore store(*model_layout(options.model, options.task));
    const auto engine = Engine::create(options, store);
    ASSERT_TRUE(engine.has_value());
    EXPECT_EQ((*engine)->precision(), Precision::F32);
    // A clock by which both take equally long: bf16 would have to win.
    options.stopwatch = []() -> double {
        static double seconds = 0.0;
        return seconds += 1.0;
    };
    const auto measured = Engine::create(options, store);
    ASSERT_TRUE(measured.has_value());
    EXPECT_EQ((*measured)->precision(), Precision::F32);
}

TEST(Device, AnUnknownOneIsRefusedNamingThoseThatMayBe) {
    for (const auto* name :
         {"abacus", "cpu:0", "opencl:", "opencl:x", "opencl:-1", "cuda:1x", ""}) {
        const auto device = find_device(name);
        ASSERT_TRUE(device.has_error()) << name;
        EXPECT_EQ(device.error().code, FaultCode::Usage) << name;
        EXPECT_NE(device.error().message.find("opencl:N"), std::string::npos) << name;
        EXPECT_TRUE(check_device_name(name).has_error()) << name;
    }
    for (const auto* name : {"auto", "cpu", "reference", "cuda", "cuda:1", "opencl", "opencl:12"}) {
        EXPECT_TRUE(check_device_name(name).has_value()) << name;
    }
}

TEST(Device, OneThatIsNotHereIsRefusedWithWhatWasLookedForAndFound) {
    for (const auto* name : {"opencl:4000", "cuda", "cuda:3"}) {
        const auto device = find_device(name);
        ASSERT_TRUE(device.has_error()) << name;
        EXPECT_EQ(device.error().code, FaultCode::Usage) << name;
        EXPECT_NE(device.error().message.find(name), std::string::npos) << device.error().message;
        EXPECT_EQ(device.error().message.find('\n'), std::string::npos);
    }
}

TEST(Device, TheListHasTheCpuFirstAndEachThatIsReadyCanBeFound) {
    const auto list = devices();
    ASSERT_FALSE(list.devices.empty());
    EXPECT_EQ(list.devices.front().name, "cpu");
    for (const auto& info : list.devices) {
        EXPECT_FALSE(info.model.empty()) << info.name;
        EXPECT_FALSE(info.state.empty()) << info.name;
        EXPECT_GT(info.memory_bytes, 0U) << info.name;
    }
    for (const auto& missing : list.missing) EXPECT_FALSE(missing.why.empty()) << missing.name;
    const auto offered = offered_devices();
    for (const auto& info : offered.devices) EXPECT_NE(info.name, "cpu");
    // Whoever looks for a device and finds none is told why.
    if (offered.devices.empty()) {
        ASSERT_FALSE(offered.missing.empty());
        EXPECT_NE(offered.missing.front().why, "");
    }
}

}  // namespace
}  // namespace starling::compute
