// Goal: a device that hangs, and one whose driver refuses any call, fails with one line, leaves the host's
// memory as it was, and fails from then on; a new one can be opened beside it. Long queues of work are no
// hang. Method: the test's OpenCL device, with some of the driver's functions replaced: kernels wait for
// an event that nobody completes, or the n-th call returns an error.

#include "compute/gpu/opencl_backend.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compute/gpu/kernels.hpp"
#include "tests/unit/compute/support/devices.hpp"

namespace starling::compute::gpu {
namespace {

using namespace std::chrono_literals;

/// Far longer than anything here takes, but for what hangs.
constexpr auto kPatience = 60s;
constexpr auto kShort = 300ms;
constexpr cl::Int kResources = cl::kOutOfResources;

const cl::Api* real = nullptr;
cl::Context context = nullptr;
cl::Event gate = nullptr;  ///< kernels wait for it
int calls = 0;
int fails_at = -1;

bool fails() {
    return calls++ == fails_at;
}

cl::Context remember_context(
    const std::intptr_t* properties,
    cl::Uint count,
    const cl::Device* devices,
    void (*told)(const char*, const void*, std::size_t, void*),
    void* data,
    cl::Int* status
) {
    context = real->CreateContext(properties, count, devices, told, data, status);
    return context;
}

cl::Int launch_behind_gate(
    cl::Queue queue,
    cl::Kernel kernel,
    cl::Uint dimensions,
    const std::size_t* offset,
    const std::size_t* threads,
    const std::size_t* group,
    cl::Uint waits,
    const cl::Event* events,
    cl::Event* event
) {
    if (gate != nullptr) waits = 1, events = &gate;
    return real->EnqueueNDRangeKernel(
        queue, kernel, dimensions, offset, threads, group, waits, events, event
    );
}

/// Replaces a function by one that counts its calls and fails at one of them.
template <auto Member>
struct Failing;

template <class... Arguments, cl::Int (*cl::Api::*Member)(Arguments...)>
struct Failing<Member> {
    static cl::Int call(Arguments... arguments) {
        return fails() ? kResources : (real->*Member)(arguments...);
    }

    static void put(cl::Api& api) { api.*Member = &call; }
};

class OpenClBackends : public ::testing::Test {
protected:
    void SetUp() override {
        if (test_device().on_host()) GTEST_SKIP() << test_device().name() << " is no OpenCL device";
        const auto found = opencl_devices();
        ASSERT_TRUE(found.has_value()) << found.error().message;
        for (const auto& device : *found) {
            if (device.info.name == test_device().name()) device_ = device;
        }
        ASSERT_NE(device_.id, nullptr);
        real = *cl::api();
        api_ = *real;
        calls = 0;
        fails_at = -1;
        gate = nullptr;
    }

    std::unique_ptr<Backend> open(std::chrono::milliseconds patience) {
        auto backend = open_opencl(device_, api_, patience);
        EXPECT_TRUE(backend.has_value()) << backend.error().message;
        return backend ? std::move(*backend) : nullptr;
    }

    /// Makes kernels wait until release().
    void hold_kernels() {
        void* library = ::dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_NOLOAD);
        ASSERT_NE(library, nullptr);
        const auto create = reinterpret_cast<cl::Event (*)(cl::Context, cl::Int*)>(
            ::dlsym(library, "clCreateUserEvent")
        );
        complete_ = reinterpret_cast<cl::Int (*)(cl::Event, cl::Int)>(
            ::dlsym(library, "clSetUserEventStatus")
        );
        ASSERT_NE(create, nullptr);
        ASSERT_NE(complete_, nullptr);
        cl::Int status = cl::kSuccess;
        gate = create(context, &status);
        ASSERT_EQ(status, cl::kSuccess);
    }

    void release_kernels() {
        EXPECT_EQ(complete_(gate, cl::kComplete), cl::kSuccess);
        gate = nullptr;
    }

    static Launch scale(DeviceMemory& memory, float factor) {
        const auto count = static_cast<std::int64_t>(memory.size());
        const auto groups = (memory.size() + kFlatLanes - 1) / kFlatLanes;
        return {
            "scale",
            {{groups, 1, 1}, {kFlatLanes, 1, 1}},
            {Argument(&memory, 0), Argument(count), Argument(factor)}};
    }

    OpenClDevice device_;
    cl::Api api_;
    cl::Int (*complete_)(cl::Event, cl::Int) = nullptr;
};

std::span<const std::byte> bytes_of(const std::vector<float>& floats) {
    return std::as_bytes(std::span(floats));
}

/// What a step does, in small. Returns the first fault.
std::optional<Fault> work(Backend& backend, std::vector<float>& floats, const auto& launch) {
    auto memory = backend.allocate(floats.size());
    if (!memory) return memory.error();
    if (auto ok = backend.write(bytes_of(floats), **memory, 0); !ok) return ok.error();
    if (auto ok = backend.launch(launch(**memory)); !ok) return ok.error();
    if (auto ok = backend.finish(); !ok) return ok.error();
    const auto to = std::as_writable_bytes(std::span(floats));
    if (auto ok = backend.read(**memory, 0, to); !ok) return ok.error();
    return std::nullopt;
}

TEST_F(OpenClBackends, ManyLaunchesInARowAreNoHangAndComeInOrder) {
    const auto backend = open(kPatience);
    const auto memory = backend->allocate(1000);
    ASSERT_TRUE(memory.has_value());
    std::vector<float> floats(1000, 1.0F);
    ASSERT_TRUE(backend->write(bytes_of(floats), **memory, 0).has_value());
    // Powers of two are exact, so that the order shows only in whether each came once.
    for (int i = 0; i < 2000; ++i) {
        ASSERT_TRUE(backend->launch(scale(**memory, i % 2 == 0 ? 2.0F : 0.5F)).has_value());
    }
    ASSERT_TRUE(backend->launch(scale(**memory, 3.0F)).has_value());
    const auto to = std::as_writable_bytes(std::span(floats));
    ASSERT_TRUE(backend->read(**memory, 0, to).has_value());
    for (const float number : floats) ASSERT_EQ(number, 3.0F);
}

TEST_F(OpenClBackends, ADeviceThatHangsFailsAndTheHostsMemoryIsAsItWas) {
    api_.CreateContext = &remember_context;
    api_.EnqueueNDRangeKernel = &launch_behind_gate;
    const auto backend = open(kShort);
    const auto memory = backend->allocate(100);
    ASSERT_TRUE(memory.has_value());
    const std::vector<float> before(100, 7.0F);
    ASSERT_TRUE(backend->write(bytes_of(before), **memory, 0).has_value());
    ASSERT_NO_FATAL_FAILURE(hold_kernels());
    ASSERT_TRUE(backend->launch(scale(**memory, 2.0F)).has_value()) << "launches do not wait";
    auto floats = before;
    floats[50] = 1.0F;
    const auto expected = floats;
    const auto to = std::as_writable_bytes(std::span(floats));
    const auto read = backend->read(**memory, 0, to);
    ASSERT_TRUE(read.has_error());
    EXPECT_EQ(read.error().code, FaultCode::Device);
    EXPECT_NE(read.error().message.find("has done nothing for 0 s: it hangs"), std::string::npos)
        << read.error().message;
    // Each later call fails at once, with the same words.
    EXPECT_EQ(backend->finish().error().message, read.error().message);
    EXPECT_EQ(backend->launch(scale(**memory, 2.0F)).error().message, read.error().message);
    EXPECT_EQ(backend->write(bytes_of(before), **memory, 0).error().message, read.error().message);
    EXPECT_EQ(backend->allocate(1).error().message, read.error().message);
    // While it hangs, the device can be opened anew.
    const auto held = gate;
    gate = nullptr;
    const auto other = open(kPatience);
    std::vector<float> fresh(100, 1.5F);
    const auto fault = work(*other, fresh, [](auto& there) { return scale(there, 2.0F); });
    EXPECT_FALSE(fault.has_value());
    EXPECT_EQ(fresh, std::vector<float>(100, 3.0F));
    gate = held;
    release_kernels();
    EXPECT_EQ(floats, expected);
}

TEST_F(OpenClBackends, AQueueThatOnlyGrowsBehindAHungKernelIsNoticedToo) {
    api_.CreateContext = &remember_context;
    api_.EnqueueNDRangeKernel = &launch_behind_gate;
    const auto backend = open(kShort);
    const auto memory = backend->allocate(100);
    ASSERT_TRUE(memory.has_value());
    ASSERT_NO_FATAL_FAILURE(hold_kernels());
    std::optional<Fault> fault;
    int launched = 0;
    for (; launched < 5000 && !fault; ++launched) {
        if (auto ok = backend->launch(scale(**memory, 2.0F)); !ok) fault = ok.error();
    }
    ASSERT_TRUE(fault.has_value());
    EXPECT_EQ(fault->code, FaultCode::Device);
    EXPECT_LT(launched, 1000) << "a driver with a full queue would have blocked";
    release_kernels();
}

TEST_F(OpenClBackends, EachCallThatTheDriverRefusesIsAFaultOfTheDeviceWithItsStatus) {
    Failing<&cl::Api::EnqueueFillBuffer>::put(api_);
    Failing<&cl::Api::EnqueueWriteBuffer>::put(api_);
    Failing<&cl::Api::EnqueueReadBuffer>::put(api_);
    Failing<&cl::Api::EnqueueNDRangeKernel>::put(api_);
    Failing<&cl::Api::EnqueueMarkerWithWaitList>::put(api_);
    Failing<&cl::Api::Flush>::put(api_);
    Failing<&cl::Api::SetKernelArg>::put(api_);
    const auto scaled = [](auto& there) { return scale(there, 2.0F); };
    std::vector<float> floats(100, 1.0F);
    ASSERT_FALSE(work(*open(kPatience), floats, scaled).has_value());
    const int whole = calls;
    ASSERT_GT(whole, 8);
    for (int n = 0; n < whole; ++n) {
        calls = 0;
        fails_at = n;
        const auto backend = open(kPatience);
        std::vector<float> kept(100, 1.0F);
        const auto fault = work(*backend, kept, scaled);
        ASSERT_TRUE(fault.has_value()) << n;
        EXPECT_EQ(fault->code, FaultCode::Device) << n;
        EXPECT_NE(fault->message.find("-5"), std::string::npos) << fault->message;
        EXPECT_EQ(kept, std::vector<float>(100, 1.0F)) << n;
        EXPECT_EQ(backend->finish().error().message, fault->message) << n;
    }
}

}  // namespace
}  // namespace starling::compute::gpu
