// Goal: a device that fails costs the last step and no sample: it is opened anew once, then `auto` goes
// on on the CPU and a peer that was told its device ends. Method: a trainer whose device computes as the
// CPU does, and fails at runs that the test names.

#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compute/training/devices.hpp"
#include "tests/unit/compute/support/wrapped_device.hpp"
#include "tests/unit/peer/training/trainer_life.hpp"

namespace starling::peer {
namespace {

using compute::DeviceInfo;
using compute::DeviceKind;

/// A card that can be opened several times. Its runs are counted over all of them.
class Card {
public:
    Card() {
        info_.name = "opencl:0";
        info_.model = "Arc";
        info_.identity = "pci-7";
        info_.kind = DeviceKind::Gpu;
        info_.memory_bytes = std::uint64_t{1} << 40U;
        info_.ready = true;
    }

    /// Returns the device of the last opening, or a new one if that has failed.
    Result<compute::Device*> open() {
        if (opened_ > 0 && opened_ == gone_after) return fail(FaultCode::Usage, "no such card");
        if (opened_ > 0 && !broken_) return devices_.back().get();
        broken_ = false;
        ++opened_;
        devices_.push_back(std::make_unique<compute::WrappedDevice>(
            **compute::find_device("cpu"), info_, [this](bool step) { return before_run(step); }
        ));
        return devices_.back().get();
    }

    [[nodiscard]] const DeviceInfo& info() const { return info_; }

    [[nodiscard]] int opened() const { return opened_; }

    std::set<int> fails_at;                ///< numbers of steps, from 1
    std::atomic<int> evaluations_left{0};  ///< it fails at the last of so many; 0: at none
    int gone_after = -1;                   ///< it cannot be opened once more after so many times

private:
    std::optional<Fault> before_run(bool step) {
        broken_ = broken_ || (step ? fails_at.contains(++runs_)
                                   : evaluations_left > 0 && --evaluations_left == 0);
        if (!broken_) return std::nullopt;
        return fail(FaultCode::Device, "run " + std::to_string(runs_) + " fell off the bus");
    }

    DeviceInfo info_;
    std::vector<std::unique_ptr<compute::Device>> devices_;
    std::atomic<int> opened_ = 0;
    int runs_ = 0;
    bool broken_ = false;
};

/// The seconds that `auto` sees: the CPU is never faster than the card.
double card_clock() {
    static std::atomic<int> calls = 0;
    return 1e-3 * calls++;
}

class DeviceFailures : public EngineTrainers {
protected:
    void set_up(Life& life, const std::string& device) {
        life.hold(sharded_);
        life.options.engine.device = device;
        auto& search = life.options.engine.search;
        search.find = [this](std::string_view name) -> Result<compute::Device*> {
            return name == "cpu" ? compute::find_device(name) : card_.open();
        };
        search.claim = [](const DeviceInfo&) { return std::string(); };
    }

    Card card_;
};

TEST_F(DeviceFailures, ADeviceThatWasNamedIsOpenedAnewOnceAndNoSampleIsLost) {
    Life life(sharded_);
    set_up(life, "opencl:0");
    card_.fails_at = {7};
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await_steps(40);
    EXPECT_EQ(report.steps, 40U);
    EXPECT_EQ(report.samples, 40 * kBatch);
    EXPECT_EQ(report.unsound_steps, 1U);
    EXPECT_EQ(report.device.name, "opencl:0");
    EXPECT_EQ(report.device.failures, 1U);
    EXPECT_FALSE(report.fault.has_value());
    EXPECT_EQ(card_.opened(), 2);
    EXPECT_LT(report.loss, 0.69) << "it goes on learning";
    EXPECT_EQ(report.position.epoch, 40 * kBatch / 128) << "the lost step's batch came again";
    life.stop();
    const auto lines = life.lines();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_NE(lines[0].find("training on opencl:0 (Arc), which takes "), std::string::npos)
        << lines[0];
    EXPECT_EQ(lines[1], "the device has failed and is opened anew: run 7 fell off the bus");
}

TEST_F(DeviceFailures, ASecondFailureOfADeviceThatWasNamedEndsTheTrainerWithACheckpoint) {
    Life life(sharded_);
    set_up(life, "opencl:0");
    card_.fails_at = {7, 20};
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await([](const TrainerReport& r) { return r.fault.has_value(); });
    EXPECT_EQ(report.fault->code, FaultCode::Device);
    EXPECT_NE(report.fault->message.find("run 20"), std::string::npos);
    EXPECT_EQ(report.steps, 18U);
    EXPECT_EQ(report.unsound_steps, 2U);
    EXPECT_EQ(report.device.failures, 2U);
    life.await_end();
    ASSERT_FALSE(life.checkpoints().empty());
    EXPECT_EQ(life.checkpoints().back().steps, 18U) << "nothing but the last step is lost";
}

TEST_F(DeviceFailures, ADeviceThatWasNamedAndCannotBeOpenedAnewEndsTheTrainer) {
    Life life(sharded_);
    set_up(life, "opencl:0");
    card_.fails_at = {3};
    card_.gone_after = 1;
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await([](const TrainerReport& r) { return r.fault.has_value(); });
    EXPECT_EQ(report.fault->code, FaultCode::Device) << "it was no wrong flag";
    EXPECT_EQ(report.fault->message, "no such card");
    EXPECT_EQ(report.steps, 2U);
}

TEST_F(DeviceFailures, AnEvaluationDuringWhichTheDeviceFailsIsMadeAgainAsAWhole) {
    Life life(sharded_);
    set_up(life, "opencl:0");
    life.start(life.order(TrainerPhase::Train));
    (void)life.await_steps(40);
    // There are three batches. An estimate may come before.
    card_.evaluations_left = 2;
    auto order = life.order(TrainerPhase::Evaluate);
    order.evaluation = 1;
    life.trainer().order(order);
    const auto report = life.await([](const TrainerReport& r) { return r.evaluation == 1; });
    EXPECT_EQ(report.evaluated.result.samples, 48U);
    EXPECT_GT(report.evaluated.result.accuracy(), 0.9);
    EXPECT_EQ(report.device.failures, 1U);
    EXPECT_EQ(card_.opened(), 2);
}

/// `auto` takes the card, because the CPU cannot compute when it is asked for the first time.
class AutomaticFailures : public DeviceFailures {
protected:
    void set_up_auto(Life& life) {
        set_up(life, "auto");
        auto& search = life.options.engine.search;
        search.stopwatch = &card_clock;
        search.offered = [this] { return compute::DeviceList{{card_.info()}, {}}; };
        search.find = [this](std::string_view name) -> Result<compute::Device*> {
            if (name != "cpu") return card_.open();
            if (!std::exchange(cpu_asked_, true)) return fail(FaultCode::Usage, "not today");
            return compute::find_device("cpu");
        };
        life.options.steps_limit = 60;
    }

    /// Runs that measure the step before training begins.
    static constexpr int kMeasured = 20;

    bool cpu_asked_ = false;
};

TEST_F(AutomaticFailures, TheCardIsOpenedAnewOnceAndThenTheCpuGoesOn) {
    Life life(sharded_);
    set_up_auto(life);
    card_.fails_at = {kMeasured + 10, kMeasured + 30};
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await_steps(60);
    EXPECT_EQ(report.steps, 60U);
    EXPECT_EQ(report.samples, 60 * kBatch);
    EXPECT_EQ(report.unsound_steps, 2U);
    EXPECT_EQ(report.device.failures, 2U);
    EXPECT_EQ(report.device.name, "cpu");
    EXPECT_EQ(report.device.why, "the device has failed: run 50 fell off the bus");
    EXPECT_EQ(card_.opened(), 2) << "it was not measured anew";
    life.stop();
    const auto lines = life.lines();
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_TRUE(lines[0].starts_with("training on opencl:0 (Arc): opencl:0 (Arc) made a step in "))
        << lines[0];
    EXPECT_EQ(lines[1], "the device has failed and is opened anew: run 30 fell off the bus");
    EXPECT_EQ(lines[2], "training goes on on the cpu: run 50 fell off the bus");
    ASSERT_FALSE(life.checkpoints().empty());
    EXPECT_EQ(life.checkpoints().back().steps, 60U);
}

TEST_F(AutomaticFailures, ACardThatCannotBeOpenedAnewGivesWayToTheCpuAtOnce) {
    Life life(sharded_);
    set_up_auto(life);
    card_.fails_at = {kMeasured + 10};
    card_.gone_after = 1;
    life.start(life.order(TrainerPhase::Train));
    const auto report = life.await_steps(60);
    EXPECT_EQ(report.device.name, "cpu");
    EXPECT_EQ(report.device.failures, 1U);
    EXPECT_EQ(report.unsound_steps, 1U);
    EXPECT_FALSE(report.fault.has_value());
}

}  // namespace
}  // namespace starling::peer
