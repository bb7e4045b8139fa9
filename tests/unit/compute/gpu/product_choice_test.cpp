// Goal: a library multiplies where it was measured faster, is asked once for each shape, and never when
// nothing may be measured, in bf16, or when it cannot; what CLBlast computes is right. Method: a
// backend that computes nothing and moves a clock of the test's; then CLBlast on the test's OpenCL device, which
// is called a graphics card for that.

#include "compute/gpu/product_choice.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "compute/gpu/clblast_api.hpp"
#include "compute/gpu/device.hpp"
#include "compute/gpu/kernel_table.hpp"
#include "compute/gpu/opencl_backend.hpp"
#include "tests/unit/compute/support/graph_fixture.hpp"

namespace starling::compute::gpu {
namespace {

using namespace std::chrono_literals;

double clock_seconds = 0.0;

double test_clock() {
    return clock_seconds;
}

class IdleMemory final : public DeviceMemory {
public:
    explicit IdleMemory(std::size_t floats) : DeviceMemory(floats) {}
};

/// What the library does of a test.
struct Library {
    bool there = true;
    double seconds = 0.001;          ///< of a product; ours takes 0.002
    double first_seconds = 0.0;      ///< more, for each new shape
    std::int64_t refused_rows = -1;  ///< it cannot multiply so many
    std::vector<LibraryShape> calls;
};

class IdleBackend final : public Backend {
public:
    explicit IdleBackend(Library& library) : library_(library) {}

    Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) override {
        return std::unique_ptr<DeviceMemory>(std::make_unique<IdleMemory>(floats));
    }

    Result<void> write(std::span<const std::byte>, DeviceMemory&, std::size_t) override {
        return {};
    }

    Result<void> read(DeviceMemory&, std::size_t, std::span<std::byte>) override { return {}; }

    Result<void> launch(const Launch& launch) override {
        EXPECT_EQ(mismatch(launch), "");
        clock_seconds += std::string(launch.kernel) == "product" ? 0.002 : 0.0;
        return {};
    }

    Result<void> finish() override { return {}; }

    [[nodiscard]] bool has_library() const override { return library_.there; }

    Result<void> multiply(const LibraryProduct& product) override {
        const auto& shape = product.shape;
        if (shape.rows == library_.refused_rows) return fail(FaultCode::Unsupported, "no");
        const auto& calls = library_.calls;
        const bool known = std::find(calls.begin(), calls.end(), shape) != calls.end();
        clock_seconds += library_.seconds + (known ? 0.0 : library_.first_seconds);
        library_.calls.push_back(shape);
        return {};
    }

private:
    Library& library_;
};

class ProductChoice : public ::testing::Test {
protected:
    ProductChoice() {
        const auto x = test_.parameter({7, 5});
        const auto y = test_.add("Gemm", {x, test_.parameter({5, 3}), test_.parameter({3})});
        test_.finish(test_.add("MatMul", {test_.add("Relu", {y}), test_.parameter({3, 2})}));
        device_ = make_device({}, std::make_unique<IdleBackend>(library_));
    }

    /// Returns how many steps of a new plan the library does.
    std::size_t chosen(Stopwatch stopwatch, Precision precision = Precision::F32) {
        const ParameterLayout layout(test_.graph.parameters());
        PlanRequest request{test_.graph, {test_.loss}, test_.gradients, 1, precision};
        request.stopwatch = stopwatch;
        const auto plan = device_->compile(std::move(request), layout);
        EXPECT_TRUE(plan.has_value()) << plan.error().message;
        const auto text = (*plan)->describe();
        std::size_t count = 0;
        for (auto at = text.find(" library\n"); at != std::string::npos;
             at = text.find(" library\n", at + 1)) {
            ++count;
        }
        return count;
    }

    static constexpr std::size_t kProducts = 6;

    TestGraph test_;
    Library library_;
    std::unique_ptr<Device> device_;
};

TEST_F(ProductChoice, TheLibraryMultipliesWhereItWasFaster) {
    EXPECT_EQ(chosen(test_clock), kProducts);
    library_.seconds = 0.003;
    device_ = make_device({}, std::make_unique<IdleBackend>(library_));
    EXPECT_EQ(chosen(test_clock), 0U);
}

TEST_F(ProductChoice, EachShapeIsMeasuredOnce) {
    (void)chosen(test_clock);
    const auto calls = library_.calls.size();
    EXPECT_EQ(calls, 4 * kProducts) << "once to compile, and three times";
    library_.seconds = 1.0;
    EXPECT_EQ(chosen(test_clock), kProducts);
    EXPECT_EQ(library_.calls.size(), calls);
}

TEST_F(ProductChoice, WithoutAClockOrALibraryAndInBf16OurKernelsMultiply) {
    EXPECT_EQ(chosen(nullptr), 0U);
    EXPECT_EQ(chosen(test_clock, Precision::Bf16), 0U);
    library_.there = false;
    EXPECT_EQ(chosen(test_clock), 0U);
    EXPECT_TRUE(library_.calls.empty());
}

TEST_F(ProductChoice, WhatTheLibraryCannotMultiplyIsOurs) {
    library_.refused_rows = 7;
    const auto count = chosen(test_clock);
    EXPECT_GT(count, 0U);
    EXPECT_LT(count, kProducts);
}

TEST_F(ProductChoice, ALibraryThatCompilesForLongIsNotMeasuredToTheEnd) {
    library_.first_seconds = 6.0;
    EXPECT_EQ(chosen(test_clock), 2U);
    library_.first_seconds = 0.0;
    EXPECT_EQ(chosen(test_clock), kProducts) << "the next plan measures the rest";
}

OpenClDevice opencl_device() {
    const auto found = opencl_devices();
    EXPECT_TRUE(found.has_value()) << found.error().message;
    for (const auto& device : *found) {
        if (device.info.name == test_device().name()) return device;
    }
    return {};
}

TEST(SecondPass, AddsTheBiasAndCutsAtZero) {
    if (test_device().on_host()) GTEST_SKIP() << test_device().name() << " is no OpenCL device";
    const auto backend = open_opencl(opencl_device());
    ASSERT_TRUE(backend.has_value()) << backend.error().message;
    constexpr std::int32_t kColumns = 67;
    constexpr std::size_t kCount = 5 * kColumns;
    std::vector<float> bias(kColumns);
    std::vector<float> before(kCount);
    for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i) - 30.0F;
    for (std::size_t i = 0; i < kCount; ++i) before[i] = static_cast<float>(i % 41) - 20.0F;
    const auto of_bias = (*backend)->allocate(bias.size());
    const auto of_sums = (*backend)->allocate(kCount);
    ASSERT_TRUE(of_bias && of_sums);
    ASSERT_TRUE((*backend)->write(std::as_bytes(std::span(bias)), **of_bias, 0));
    for (const bool biased : {false, true}) {
        for (const bool cut : {false, true}) {
            ASSERT_TRUE((*backend)->write(std::as_bytes(std::span(before)), **of_sums, 0));
            const Launch launch{
                "add_bias",
                {{2, 1, 1}, {kFlatLanes, 1, 1}},
                {Argument(of_bias->get(), 0),
                 Argument(of_sums->get(), 0),
                 Argument(static_cast<std::int64_t>(kCount)),
                 Argument(kColumns),
                 Argument(std::int32_t{biased ? 1 : 0}),
                 Argument(std::int32_t{cut ? 1 : 0})}};
            EXPECT_EQ(mismatch(launch), "");
            ASSERT_TRUE((*backend)->launch(launch));
            std::vector<float> after(kCount);
            const auto to = std::as_writable_bytes(std::span(after));
            ASSERT_TRUE((*backend)->read(**of_sums, 0, to));
            for (std::size_t i = 0; i < kCount; ++i) {
                const float sum = before[i] + (biased ? bias[i % kColumns] : 0.0F);
                ASSERT_EQ(after[i], cut ? std::max(sum, 0.0F) : sum) << i;
            }
        }
    }
}

/// A clock whose intervals become shorter, so that the library, measured last, wins.
double hastening_clock() {
    static double interval = 1e-6;
    interval *= 0.97;
    return clock_seconds += interval;
}

/// Products of all kinds: turned factors, batches of both and of one, a bias, a cut.
TestGraph products() {
    const Attributes turned{{"transB", std::int64_t{1}}};
    TestGraph test;
    auto x = test.parameter({3, 4, 9, 6});
    x = test.add("MatMul", {x, test.parameter({6, 13})});
    x = test.add("MatMul", {x, test.parameter({3, 4, 13, 5})});
    x = test.add(
        "Gemm", {test.add("Flatten", {x}), test.parameter({17, 180}), test.parameter({17})}, turned
    );
    x = test.add("MatMul", {test.add("Relu", {x}), test.parameter({17, 70})});
    test.finish(test.add("Gemm", {x, test.parameter({70, 5}), test.parameter({5})}));
    return test;
}

TEST(ClBlast, ProductsOfAllKindsAreRight) {
    if (test_device().on_host()) GTEST_SKIP() << test_device().name() << " is no OpenCL device";
    if (const auto library = clblast::api(); !library) GTEST_SKIP() << library.error().message;
    auto device = opencl_device();
    device.info.kind = DeviceKind::Gpu;
    auto backend = open_opencl(device, **cl::api(), 600s);
    ASSERT_TRUE(backend.has_value()) << backend.error().message;
    const auto card = make_device(device.info, std::move(*backend));
    const auto test = products();
    TestRun run(test, 1);
    (void)run.reference_loss(test);
    PlanRequest request{test.graph, {test.loss, test.log_probabilities}, test.gradients, 1};
    request.stopwatch = hastening_clock;
    const auto plan = card->compile(request, run.layout);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    EXPECT_EQ((*plan)->describe().find(" product\n"), std::string::npos) << (*plan)->describe();
    expect_plan_matches_on(*card, test, run, request, 2e-5);
}

}  // namespace
}  // namespace starling::compute::gpu
