// Goal: `auto` asks, claims and measures devices one after the other until one is faster than the CPU,
// opens none that a cheaper fact speaks against, and leaves the parameters as they are.
// Method: the test's device stands for a graphics card; the clock stands still but for what a test adds
// to it for each run. What a model takes of a card's memory is compared with what an engine has taken.

#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "compute/models/models.hpp"
#include "compute/training/device_memory.hpp"
#include "compute/training/engine.hpp"
#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/devices.hpp"
#include "tests/unit/compute/support/synthetic.hpp"
#include "tests/unit/compute/support/wrapped_device.hpp"

namespace starling::compute {
namespace {

double clock_seconds = 0.0;

/// A machine with cards of our making.
class Automatic : public ::testing::Test {
protected:
    Automatic() {
        options_.model = "cnn?channels=3,5&hidden=7";
        options_.task = {{1, 9, 9}, 5};
        options_.batch = 6;
        options_.eval_batch = 4;
        options_.optimizer = *OptimizerSpec::parse("adamw?weight_decay=0.1");
        options_.device = "auto";
        auto& search = options_.search;
        search.stopwatch = [] { return clock_seconds += 1e-6; };
        search.offered = [this] { return list_; };
        search.claim = [this](const DeviceInfo& info) {
            claimed_.push_back(info.identity);
            return taken_[info.identity];
        };
        search.find = [this](std::string_view name) -> Result<Device*> {
            opened_.emplace_back(name);
            return devices_.at(std::string(name)).get();
        };
        add("cpu", DeviceKind::Cpu, **find_device("cpu"), 0.010);
        list_.devices.clear();
    }

    /// A device that needs so many seconds for each run.
    void add(const std::string& name, DeviceKind kind, Device& inner, double seconds) {
        DeviceInfo info;
        info.name = name;
        info.kind = kind;
        info.model = "Arc";
        info.identity = "id of " + name;
        info.memory_bytes = std::uint64_t{1} << 40U;
        info.ready = true;
        list_.devices.push_back(info);
        devices_[name] = std::make_unique<WrappedDevice>(
            inner,
            info,
            [this, name, seconds](bool /*step*/) -> std::optional<Fault> {
                ++runs_[name];
                clock_seconds += seconds;
                if (!failing_.contains(name)) return std::nullopt;
                return fail(FaultCode::Device, name + " fell off the bus");
            }
        );
    }

    std::unique_ptr<Engine> create() {
        store_ = std::make_unique<ParameterStore>(*model_layout(options_.model, options_.task));
        store_->initialize(Rng(5));
        auto engine = Engine::create(options_, *store_);
        EXPECT_TRUE(engine.has_value()) << engine.error().message;
        return engine ? std::move(*engine) : nullptr;
    }

    using Names = std::vector<std::string>;

    EngineOptions options_;
    DeviceList list_;
    std::map<std::string, std::unique_ptr<Device>> devices_;
    std::map<std::string, std::string> taken_;
    std::map<std::string, int> runs_;
    std::set<std::string> failing_;
    Names claimed_;
    Names opened_;
    std::unique_ptr<ParameterStore> store_;
};

TEST_F(Automatic, WithoutACardNothingIsMeasuredOrClaimed) {
    list_.missing.push_back({"card", "this machine has no graphics card"});
    const auto engine = create();
    EXPECT_EQ(engine->choice().device, "cpu");
    EXPECT_EQ(engine->choice().why, "this machine has no graphics card");
    EXPECT_FALSE(engine->choice().notable);
    EXPECT_EQ(opened_, Names{"cpu"});
    EXPECT_EQ(runs_["cpu"], 0);
    EXPECT_TRUE(claimed_.empty());
}

TEST_F(Automatic, WithoutAClockTheCpuComputesAndNobodyIsAsked) {
    add("opencl:0", DeviceKind::Gpu, test_device(), 0.001);
    options_.search.stopwatch = nullptr;
    const auto engine = create();
    EXPECT_EQ(engine->choice().device, "cpu");
    EXPECT_FALSE(engine->choice().notable);
    EXPECT_EQ(opened_, Names{"cpu"});
    EXPECT_TRUE(claimed_.empty());
}

TEST_F(Automatic, AFasterCardComputesAndTheParametersAreWhatTheyWere) {
    add("opencl:0", DeviceKind::Gpu, test_device(), 0.001);
    const auto engine = create();
    EXPECT_EQ(engine->choice().device, "opencl:0");
    EXPECT_EQ(engine->device().name, "opencl:0");
    EXPECT_EQ(engine->choice().why, "opencl:0 (Arc) made a step in 1.00 ms, the cpu in 10 ms");
    EXPECT_EQ(claimed_, Names{"id of opencl:0"});
    ParameterStore fresh(*model_layout(options_.model, options_.task));
    fresh.initialize(Rng(5));
    EXPECT_EQ(contents(*store_), contents(fresh));
    for (const float number : engine->optimizer_state()) ASSERT_EQ(number, 0.0F);
    const auto batch = synthetic_samples(options_.task, 6, 1);
    const auto made = engine->step({batch.values, batch.labels}, 0.01);
    ASSERT_TRUE(made.has_value()) << made.error().message;
    EXPECT_FALSE(made->unsound);
    EXPECT_NE(contents(*store_), contents(fresh));
}

TEST_F(Automatic, ASlowerCardIsMeasuredAndLeft) {
    add("opencl:0", DeviceKind::Gpu, test_device(), 0.031);
    const auto engine = create();
    EXPECT_EQ(engine->choice().device, "cpu");
    EXPECT_EQ(engine->device().name, "cpu");
    EXPECT_EQ(engine->choice().why, "opencl:0 (Arc) made a step in 31 ms, the cpu in 10 ms");
    EXPECT_TRUE(engine->choice().notable);
    EXPECT_GT(runs_["opencl:0"], 1) << "the first step compiles kernels and does not count";
}

TEST_F(Automatic, ALongStepIsMadeTwiceAtMost) {
    devices_.clear();
    add("cpu", DeviceKind::Cpu, **find_device("cpu"), 30.0);
    list_.devices.clear();
    add("opencl:0", DeviceKind::Gpu, test_device(), 20.0);
    const auto engine = create();
    EXPECT_EQ(engine->choice().device, "opencl:0");
    EXPECT_EQ(runs_["cpu"], 1);
    EXPECT_LE(runs_["opencl:0"], 2);
}

TEST_F(Automatic, WhatACheapFactSpeaksAgainstIsNeitherClaimedNorOpened) {
    add("opencl:0", DeviceKind::Cpu, test_device(), 0.001);
    add("opencl:1", DeviceKind::Gpu, test_device(), 0.001);
    add("opencl:2", DeviceKind::Gpu, test_device(), 0.001);
    list_.devices[1].memory_bytes = 1000;
    taken_["id of opencl:2"] = "process 12";
    const auto engine = create();
    EXPECT_EQ(engine->choice().device, "cpu");
    EXPECT_EQ(opened_, Names{"cpu"});
    EXPECT_EQ(runs_["cpu"], 0) << "there is nothing to compare it with";
    EXPECT_EQ(claimed_, Names{"id of opencl:2"});
    const auto& why = engine->choice().why;
    EXPECT_NE(
        why.find("opencl:0 (Arc) is no graphics card; opencl:1 (Arc) has 0.0 MB"), std::string::npos
    ) << why;
    EXPECT_NE(why.find("opencl:2 (Arc) is taken by process 12"), std::string::npos) << why;
}

TEST_F(Automatic, TheNextCardIsTakenWhereTheFirstIsTakenOrFails) {
    add("opencl:0", DeviceKind::Gpu, test_device(), 0.001);
    add("opencl:1", DeviceKind::Gpu, test_device(), 0.002);
    add("opencl:2", DeviceKind::Gpu, test_device(), 0.003);
    taken_["id of opencl:0"] = "process 12";
    failing_.insert("opencl:1");
    const auto engine = create();
    EXPECT_EQ(engine->choice().device, "opencl:2");
    EXPECT_EQ(
        engine->choice().why,
        "opencl:0 (Arc) is taken by process 12; opencl:1 (Arc) cannot: opencl:1 fell off the bus; "
        "opencl:2 (Arc) made a step in 3.00 ms, the cpu in 10 ms"
    );
    EXPECT_EQ(opened_, (Names{"cpu", "opencl:1", "opencl:2"}));
}

TEST_F(Automatic, AnOperatorWithoutAKernelLeavesTheCardBeforeItIsClaimed) {
    add("opencl:0", DeviceKind::Gpu, test_device(), 0.001);
    options_.model = "detector?width=4";
    options_.task = {{3, 32, 32}, 2, 0, LabelKind::Boxes};
    options_.task.boxes = 3;
    options_.batch = 2;
    const auto engine = create();
    EXPECT_EQ(engine->choice().device, "cpu");
    EXPECT_NE(engine->choice().why.find("CentrePointLoss"), std::string::npos);
    EXPECT_TRUE(claimed_.empty());
}

TEST_F(Automatic, ADeviceThatWasNamedIsTakenThoughOthersComputeThere) {
    add("opencl:0", DeviceKind::Gpu, test_device(), 9.0);
    if (test_device().on_host()) GTEST_SKIP() << "nobody claims the CPU";
    options_.device = "opencl:0";
    taken_["id of opencl:0"] = "process 12";
    const auto engine = create();
    EXPECT_EQ(engine->choice().device, "opencl:0");
    EXPECT_NE(engine->choice().why.find("process 12 computes there, too"), std::string::npos);
    EXPECT_EQ(runs_["opencl:0"], 0) << "nothing is measured";
}

TEST_F(Automatic, ANamedDeviceWithoutTheMemoryThatItsDriverPromisesIsRefusedAsWrongUsage) {
    if (test_device().on_host()) GTEST_SKIP() << "the system may promise any memory";
    add("opencl:0", DeviceKind::Gpu, test_device(), 0.001);
    dynamic_cast<WrappedDevice&>(*devices_["opencl:0"]).full = true;
    options_.device = "opencl:0";
    ParameterStore store(*model_layout(options_.model, options_.task));
    const auto engine = Engine::create(options_, store);
    ASSERT_TRUE(engine.has_error());
    EXPECT_EQ(engine.error().code, FaultCode::Usage);
    EXPECT_NE(engine.error().message.find("does not fit"), std::string::npos)
        << engine.error().message;
}

TEST_F(Automatic, WhatACardNeedsIsWhatAnEngineTakesThere) {
    if (test_device().on_host()) GTEST_SKIP() << "the CPU's plans are made by its library";
    for (const auto* model :
         {"mlp?hidden=65,13", "cnn?channels=3,5&hidden=7", "resnet20?width=4"}) {
        options_.model = model;
        options_.task = {{3, 16, 16}, 5};
        options_.device = test_device().name();
        options_.search = {};
        const auto engine = create();
        const auto need = card_memory(options_);
        ASSERT_TRUE(need.has_value());
        const auto taken = engine->memory();
        EXPECT_EQ(need->activations, taken.activations) << model;
        EXPECT_EQ(need->lasting, taken.lasting) << model;
        EXPECT_EQ(need->weights, taken.weights) << model;
        EXPECT_EQ(need->gradients, taken.gradients) << model;
        EXPECT_EQ(need->optimizer, taken.optimizer) << model;
    }
}

TEST_F(Automatic, TheLargestBatchThatFitsIsFoundAndOneMoreDoesNotFit) {
    options_.batch = 1000;
    DeviceInfo card;
    card.name = "opencl:0";
    card.model = "Arc";
    card.memory_bytes = card_memory(options_)->total() / 3;
    const auto fit = fit_on_card(options_, card);
    ASSERT_TRUE(fit.has_value());
    EXPECT_FALSE(fit->fits());
    ASSERT_GT(fit->batch_max, 100);
    ASSERT_LT(fit->batch_max, 1000);
    options_.batch = fit->batch_max;
    EXPECT_TRUE(fit_on_card(options_, card)->fits());
    EXPECT_TRUE(check_fit(options_, card).has_value());
    ++options_.batch;
    EXPECT_FALSE(fit_on_card(options_, card)->fits());
    const auto refused = check_fit(options_, card);
    ASSERT_TRUE(refused.has_error());
    EXPECT_EQ(refused.error().code, FaultCode::Usage);
    EXPECT_NE(
        refused.error().message.find(
            "the largest batch that fits is " + std::to_string(fit->batch_max)
        ),
        std::string::npos
    ) << refused.error().message;
}

TEST_F(Automatic, ADriverThatGivesOnlySmallPiecesBoundsTheBatch) {
    options_.batch = 1000;
    DeviceInfo card;
    card.memory_bytes = std::uint64_t{1} << 40U;
    const auto whole = fit_on_card(options_, card);
    ASSERT_TRUE(whole->fits());
    card.allocation_bytes_max = whole->piece_bytes / 2;
    const auto fit = fit_on_card(options_, card);
    EXPECT_FALSE(fit->fits());
    EXPECT_GT(fit->batch_max, 1);
    EXPECT_LT(fit->batch_max, 1000);
    card.memory_bytes = 1;
    EXPECT_EQ(fit_on_card(options_, card)->batch_max, 0);
}

}  // namespace
}  // namespace starling::compute
