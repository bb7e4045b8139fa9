// Goal: a device with memory of its own gives the same bits twice, takes what an exchange adds
// between two steps, says which operator it cannot compute, and refuses memory that it does not
// have. Method: the test's device, through the seam; nothing of this runs on the CPU alone.

#include <atomic>
#include <gtest/gtest.h>
#include <map>

#include "compute/models/models.hpp"
#include "compute/training/engine.hpp"
#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/graph_fixture.hpp"
#include "tests/unit/compute/support/synthetic.hpp"

namespace starling::compute {
namespace {

const Task kTask{{1, 9, 7}, 5};

EngineOptions options_on(std::string_view device) {
    EngineOptions options;
    options.model = "mlp?hidden=65,13";
    options.task = kTask;
    options.batch = 63;
    options.eval_batch = 5;
    options.optimizer = *OptimizerSpec::parse("adamw?weight_decay=0.1&clip=1");
    options.device = device;
    return options;
}

struct Trained {
    std::vector<float> losses;
    std::vector<float> parameters;
    std::vector<float> state;
};

/// Three steps; before the second, somebody else adds to a chunk.
Trained train_on(std::string_view device, Precision precision = Precision::F32) {
    auto options = options_on(device);
    options.precision = precision;
    ParameterStore store(*model_layout(options.model, options.task));
    store.initialize(Rng(5));
    const auto engine = Engine::create(options, store);
    EXPECT_TRUE(engine.has_value()) << engine.error().message;
    Trained run;
    for (std::uint64_t i = 0; i < 3; ++i) {
        const auto batch = synthetic_samples(kTask, 63, i);
        const auto result = (*engine)->step({batch.values, batch.labels}, 0.01);
        EXPECT_TRUE(result.has_value()) << result.error().message;
        run.losses.push_back(result->loss);
        if (i > 0) continue;
        const std::vector<float> delta(store.layout().chunks()[0].elements, 0.01F);
        EXPECT_TRUE(store.try_add(0, std::as_bytes(std::span(delta))));
    }
    run.parameters = contents(store);
    const auto state = (*engine)->optimizer_state();
    run.state.assign(state.begin(), state.end());
    return run;
}

TEST(GpuDevice, TheSameStepsGiveTheSameBitsTwice) {
    const auto first = train_on(test_device().name());
    const auto second = train_on(test_device().name());
    EXPECT_EQ(first.losses, second.losses);
    EXPECT_EQ(first.parameters, second.parameters);
    EXPECT_EQ(first.state, second.state);
}

TEST(GpuDevice, WhatAnExchangeAddsBetweenTwoStepsIsTrainedOn) {
    const auto here = train_on(test_device().name());
    const auto plain = train_on("reference");
    for (std::size_t i = 0; i < plain.losses.size(); ++i) {
        EXPECT_NEAR(here.losses[i], plain.losses[i], 1e-5 * std::abs(plain.losses[i]));
    }
    // Adam divides a gradient by its own size; a step is bounded by the learning rate.
    ASSERT_EQ(here.parameters.size(), plain.parameters.size());
    for (std::size_t i = 0; i < plain.parameters.size(); ++i) {
        EXPECT_NEAR(here.parameters[i], plain.parameters[i], 2e-3) << i;
    }
}

TEST(GpuDevice, AnInterruptedStepChangesNothing) {
    const auto options = options_on(test_device().name());
    ParameterStore store(*model_layout(options.model, options.task));
    store.initialize(Rng(5));
    const auto engine = Engine::create(options, store);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    const auto before = contents(store);
    const auto batch = synthetic_samples(kTask, 63, 1);
    (*engine)->interrupt();
    const auto result = (*engine)->step({batch.values, batch.labels}, 0.01);
    ASSERT_TRUE(result.has_value());
    EXPECT_TRUE(result->interrupted);
    EXPECT_EQ(contents(store), before);
}

TEST(GpuDevice, AnOperatorWithoutAKernelIsRefusedWithItsName) {
    auto& device = test_device();
    if (device.on_host()) GTEST_SKIP() << device.name() << " has a kernel for each";
    Task task{{3, 32, 32}, 2, 0, LabelKind::Boxes};
    task.boxes = 3;
    auto options = options_on(device.name());
    options.model = "detector?width=4";
    options.task = task;
    options.batch = 2;
    ParameterStore store(*model_layout(options.model, options.task));
    const auto engine = Engine::create(options, store);
    ASSERT_TRUE(engine.has_error());
    EXPECT_EQ(engine.error().code, FaultCode::Unsupported);
    EXPECT_NE(engine.error().message.find("CentrePointLoss"), std::string::npos);
}

TEST(GpuDevice, MemoryThatIsNotThereIsRefusedAndTheDeviceGoesOn) {
    auto& device = test_device();
    if (device.on_host()) GTEST_SKIP() << "the system may promise any memory";
    const auto huge = device.allocate(std::size_t{1} << 50U);
    ASSERT_TRUE(huge.has_error());
    EXPECT_EQ(huge.error().code, FaultCode::Oversized);
    EXPECT_TRUE(device.allocate(16).has_value());
    EXPECT_TRUE(device.synchronize().has_value());
}

TEST(GpuDevice, StepsInBf16AreNotThoseInF32AndGiveTheSameBitsTwice) {
    const auto name = test_device().name();
    const auto first = train_on(name, Precision::Bf16);
    const auto second = train_on(name, Precision::Bf16);
    EXPECT_EQ(first.losses, second.losses);
    EXPECT_EQ(first.parameters, second.parameters);
    EXPECT_NE(first.losses, train_on(name).losses);
}

TEST(GpuDevice, APlanInBf16TakesTheMemoryOfOneInF32) {
    auto& device = test_device();
    if (device.on_host()) GTEST_SKIP() << "the CPU's plans are made by its library";
    auto options = options_on(device.name());
    options.model = "cnn?channels=3,5&hidden=7";
    std::map<Precision, MemoryUse> memory;
    for (const auto precision : {Precision::F32, Precision::Bf16}) {
        options.precision = precision;
        ParameterStore store(*model_layout(options.model, options.task));
        const auto engine = Engine::create(options, store);
        ASSERT_TRUE(engine.has_value()) << engine.error().message;
        EXPECT_EQ((*engine)->precision(), precision);
        memory[precision] = (*engine)->memory();
    }
    EXPECT_EQ(memory[Precision::Bf16].total(), memory[Precision::F32].total());
}

}  // namespace
}  // namespace starling::compute
