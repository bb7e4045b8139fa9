// Goal: whatever call of a driver fails, what runs on the device says so, the store keeps whole
// chunks, and a later call fails as well instead of computing on nonsense. Method: a backend without
// kernels that fails at its n-th call, for each n.

#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <optional>

#include "compute/gpu/device.hpp"
#include "compute/gpu/kernel_table.hpp"
#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/graph_fixture.hpp"

namespace starling::compute::gpu {
namespace {

class FailingMemory final : public DeviceMemory {
public:
    explicit FailingMemory(std::size_t floats) : DeviceMemory(floats), bytes(4 * floats) {}

    std::vector<std::byte> bytes;
};

/// Copies truly, computes nothing, and fails at a call.
class FailingBackend final : public Backend {
public:
    FailingBackend(int& calls, int fails_at) : calls_(calls), fails_at_(fails_at) {}

    Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) override {
        if (auto ok = call(); !ok) return ok.error();
        return std::unique_ptr<DeviceMemory>(std::make_unique<FailingMemory>(floats));
    }

    Result<void> write(std::span<const std::byte> from, DeviceMemory& to, std::size_t offset)
        override {
        if (auto ok = call(); !ok) return ok;
        auto& bytes = dynamic_cast<FailingMemory&>(to).bytes;
        EXPECT_LE(offset + from.size(), bytes.size());
        std::copy(from.begin(), from.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
    }

    Result<void> read(DeviceMemory& from, std::size_t offset, std::span<std::byte> to) override {
        if (auto ok = call(); !ok) return ok;
        const auto& bytes = dynamic_cast<FailingMemory&>(from).bytes;
        EXPECT_LE(offset + to.size(), bytes.size());
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
        return {};
    }

    Result<void> launch(const Launch& launch) override {
        EXPECT_EQ(mismatch(launch), "");
        return call();
    }

    Result<void> finish() override { return call(); }

private:
    Result<void> call() {
        if (fault_) return *fault_;
        if (calls_++ != fails_at_) return {};
        fault_ = fail(FaultCode::Device, "the card has fallen off the bus");
        return *fault_;
    }

    int& calls_;
    int fails_at_;
    std::optional<Fault> fault_;
};

/// One step by hand. Returns the fault that it ended with.
std::optional<Fault> step_on(Device& device, const TestGraph& test, TestRun& run) {
    PlanRequest request{test.graph, {test.loss}, test.gradients, 1};
    auto plan = device.compile(std::move(request), run.layout);
    if (!plan) return plan.error();
    write_inputs(test, run, **plan);
    if (auto ok = (*plan)->pack(run.store); !ok) return ok.error();
    std::atomic<bool> never{false};
    if (const auto end = (*plan)->run(never); !end) return end.error();
    auto moments = device.allocate(run.layout.elements());
    if (!moments) return moments.error();
    UpdateRequest update{SgdSettings{}, 0.5F, (*plan)->gradients(), {}, {}, (*plan)->copies(), 1};
    update.mean = DeviceSpan(**moments);
    if (auto ok = device.update(run.store, update); !ok) return ok.error();
    return std::nullopt;
}

TestGraph small_graph() {
    TestGraph test;
    const auto x = test.parameter({4, 6});
    test.finish(test.add("Relu", {test.add("Gemm", {x, test.parameter({6, 5})})}));
    return test;
}

TEST(FailingBackend, EachCallThatFailsEndsTheStepWithItsFaultAndKeepsTheStore) {
    const auto test = small_graph();
    int whole = 0;
    {
        TestRun run(test, 1);
        const auto device = make_device({}, std::make_unique<FailingBackend>(whole, -1));
        ASSERT_FALSE(step_on(*device, test, run).has_value());
    }
    ASSERT_GT(whole, 15);
    for (int n = 0; n < whole; ++n) {
        TestRun run(test, 1);
        const auto before = contents(run.store);
        int calls = 0;
        const auto device = make_device({}, std::make_unique<FailingBackend>(calls, n));
        const auto fault = step_on(*device, test, run);
        ASSERT_TRUE(fault.has_value()) << n;
        EXPECT_EQ(fault->code, FaultCode::Device) << n;
        EXPECT_EQ(contents(run.store), before) << n;
        EXPECT_TRUE(device->synchronize().has_error());
        // The store serves others on.
        std::vector<float> floats(run.layout.chunks()[0].elements);
        EXPECT_TRUE(run.store.try_read(0, std::as_writable_bytes(std::span(floats))));
    }
}

TEST(FailingBackend, NormsAccumulationAndCopiesSayThatTheyFailed) {
    int calls = 0;
    const auto device = make_device({}, std::make_unique<FailingBackend>(calls, 1));
    const auto memory = device->allocate(10);
    ASSERT_TRUE(memory.has_value());
    const DeviceSpan all(**memory);
    std::vector<float> host(10);
    EXPECT_EQ(device->copy_in(host, all).error().code, FaultCode::Device);
    EXPECT_EQ(device->copy_out(all, host).error().code, FaultCode::Device);
    EXPECT_EQ(device->norm(all, 1).error().code, FaultCode::Device);
    EXPECT_EQ(device->accumulate(true, 1.0F, all, all, 1).error().code, FaultCode::Device);
    EXPECT_EQ(device->allocate(1).error().code, FaultCode::Device);
}

}  // namespace
}  // namespace starling::compute::gpu
