#pragma once

// A device that computes as another one does, under another name, and that a test can slow down, or
// make fail: before each run of a plan it asks the test.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "compute/device/device.hpp"
#include "compute/device/plan.hpp"

namespace starling::compute {

/// Hears whether a step is about to run, or else an evaluation. Returns the fault that it ends with.
using BeforeRun = std::function<std::optional<Fault>(bool step)>;

class WrappedPlan final : public Plan {
public:
    WrappedPlan(std::unique_ptr<Plan> inner, bool step, BeforeRun before)
        : inner_(std::move(inner)),
          step_(step),
          before_(std::move(before)) {}

    std::span<float> input_values(ValueId input) override { return inner_->input_values(input); }

    std::span<std::int32_t> input_labels(ValueId input) override {
        return inner_->input_labels(input);
    }

    Result<void> pack(ParameterStore& store) override { return inner_->pack(store); }

    PlanCopies* copies() override { return inner_->copies(); }

    Result<RunEnd> run(std::atomic<bool>& interrupt) override {
        if (const auto fault = before_(step_)) return *fault;
        return inner_->run(interrupt);
    }

    Result<void> profile(Stopwatch stopwatch, std::vector<KernelTime>& times) override {
        return inner_->profile(stopwatch, times);
    }

    Result<void> poison() override { return inner_->poison(); }

    std::span<const float> output(ValueId output) const override { return inner_->output(output); }

    std::span<const std::int32_t> output_labels(ValueId output) const override {
        return inner_->output_labels(output);
    }

    DeviceSpan gradients() const override { return inner_->gradients(); }

    MemoryUse memory() const override { return inner_->memory(); }

    std::string describe() const override { return inner_->describe(); }

private:
    std::unique_ptr<Plan> inner_;
    bool step_;
    BeforeRun before_;
};

class WrappedDevice final : public Device {
public:
    /// Requires  `inner` outlives it
    WrappedDevice(Device& inner, DeviceInfo info, BeforeRun before)
        : inner_(inner),
          info_(std::move(info)),
          before_(std::move(before)) {}

    std::string_view name() const override { return info_.name; }

    DeviceInfo info() const override { return info_; }

    std::string describe() const override { return info_.name; }

    FlushDenormals enter() override { return inner_.enter(); }

    bool on_host() const override { return inner_.on_host(); }

    Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) override {
        if (full) return fail(FaultCode::Oversized, "there is no more memory");
        return inner_.allocate(floats);
    }

    Result<void> copy_in(std::span<const float> host, DeviceSpan device) override {
        return inner_.copy_in(host, device);
    }

    Result<void> copy_out(DeviceSpan device, std::span<float> host) override {
        return inner_.copy_out(device, host);
    }

    Result<void> synchronize() override { return inner_.synchronize(); }

    Result<std::unique_ptr<Plan>> compile(PlanRequest request, const ParameterLayout& layout)
        override {
        const bool step = !request.gradients.empty();
        auto plan = inner_.compile(std::move(request), layout);
        if (plan.has_error()) return plan.error();
        return std::unique_ptr<Plan>(std::make_unique<WrappedPlan>(std::move(*plan), step, before_)
        );
    }

    Result<double> norm(DeviceSpan gradient, int threads) override {
        return inner_.norm(gradient, threads);
    }

    Result<void> accumulate(
        bool fresh, float share, DeviceSpan gradient, DeviceSpan sum, int threads
    ) override {
        return inner_.accumulate(fresh, share, gradient, sum, threads);
    }

    Result<void> update(ParameterStore& store, const UpdateRequest& request) override {
        return inner_.update(store, request);
    }

    bool full = false;  ///< plans find memory, and nothing else does

private:
    Device& inner_;
    DeviceInfo info_;
    BeforeRun before_;
};

}  // namespace starling::compute
