// Goal: products in bf16 are, bit for bit, the products in f32 of factors that were rounded before, for
// kernels that widen and multiply and for those that use tensor cores. Method: both kernels run on the
// test's OpenCL device. It has no tensor cores: the kernels' text emulates them when the driver is told
// so, 32 threads exchanging their parts in local memory as PTX says that the instruction does.

#include <array>
#include <bit>
#include <gtest/gtest.h>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "compute/gpu/kernels.hpp"
#include "compute/gpu/opencl_backend.hpp"
#include "compute/simd/strips.hpp"
#include "tests/unit/compute/support/devices.hpp"

namespace starling::compute::gpu {
namespace {

using namespace std::chrono_literals;
using Floats = std::vector<float>;

/// Replaces the driver's function by one that asks for the emulation.
cl::Int build_with_tensor_cores(
    cl::Program program,
    cl::Uint count,
    const cl::Device* devices,
    const char* options,
    void (*told)(cl::Program, void*),
    void* data
) {
    const auto more = std::string(options) + " -DEMULATE_TENSOR_CORES";
    return (*cl::api())->BuildProgram(program, count, devices, more.c_str(), told, data);
}

Floats drawn(std::size_t count, Rng& rng) {
    Floats floats(count);
    for (auto& x : floats) x = static_cast<float>(2.0 * rng.uniform() - 1.0);
    return floats;
}

Floats rounded(Floats floats) {
    for (auto& x : floats) x = widened(narrowed(x));
    return floats;
}

std::size_t elements_of(std::initializer_list<std::int32_t> axes) {
    std::size_t count = 1;
    for (const auto axis : axes) count *= static_cast<std::size_t>(axis);
    return count;
}

/// A kernel's launch, without its places in memory.
struct Products {
    std::string kernel;
    Grid grid;
    std::vector<Floats> factors;
    Floats bias;  ///< empty: the kernel has none
    std::size_t results = 0;
    std::vector<Argument> rest;
};

std::size_t tiles(std::int64_t elements) {
    return (static_cast<std::size_t>(elements) + kTile - 1) / kTile;
}

Grid tile_grid(std::int64_t rows, std::int64_t columns, std::size_t batches) {
    return {{tiles(columns), tiles(rows), batches}, {kTileSide, kTileSide, 1}};
}

class Bf16Products : public ::testing::TestWithParam<bool> {
protected:
    void SetUp() override {
        if (test_device().on_host()) GTEST_SKIP() << test_device().name() << " is no OpenCL device";
        const auto found = opencl_devices();
        ASSERT_TRUE(found.has_value()) << found.error().message;
        for (const auto& device : *found) {
            if (device.info.name == test_device().name()) device_ = device;
        }
        api_ = **cl::api();
        if (GetParam()) api_.BuildProgram = &build_with_tensor_cores;
        auto backend = open_opencl(device_, api_, 60s);
        ASSERT_TRUE(backend.has_value()) << backend.error().message;
        backend_ = std::move(*backend);
    }

    std::unique_ptr<DeviceMemory> put(const Floats& floats) {
        auto memory = backend_->allocate(floats.size());
        EXPECT_TRUE(memory.has_value());
        EXPECT_TRUE(backend_->write(std::as_bytes(std::span(floats)), **memory, 0).has_value());
        return std::move(*memory);
    }

    Floats carry_out(
        const Products& run, const std::string& kernel, const std::vector<Floats>& factors
    ) {
        std::vector<std::unique_ptr<DeviceMemory>> places;
        for (const auto& factor : factors) places.push_back(put(factor));
        if (!run.bias.empty()) places.push_back(put(run.bias));
        Floats results(run.results, 7.0F);
        places.push_back(put(results));
        Launch launch{kernel.c_str(), run.grid, {}};
        for (const auto& place : places) launch.arguments.emplace_back(place.get(), 0);
        launch.arguments.insert(launch.arguments.end(), run.rest.begin(), run.rest.end());
        const auto done = backend_->launch(launch);
        EXPECT_TRUE(done.has_value()) << done.error().message;
        const auto to = std::as_writable_bytes(std::span(results));
        EXPECT_TRUE(backend_->read(*places.back(), 0, to).has_value());
        return results;
    }

    void expect_rounded_products(const Products& run) {
        std::vector<Floats> factors;
        for (const auto& factor : run.factors) factors.push_back(rounded(factor));
        const auto plain = carry_out(run, run.kernel, factors);
        EXPECT_EQ(carry_out(run, run.kernel + "_bf16", run.factors), plain);
        EXPECT_NE(carry_out(run, run.kernel, run.factors), plain) << "nothing was rounded";
    }

    OpenClDevice device_;
    cl::Api api_;
    std::unique_ptr<Backend> backend_;
};

struct Sizes {
    std::int32_t rows;
    std::int32_t columns;
    std::int32_t depth;
};

/// Two matrices times one, with bias, cut at zero; either may lie transposed.
Products product_of(const Sizes& sizes, bool turned_a, bool turned_b) {
    Rng rng(static_cast<std::uint64_t>(sizes.rows * 1000 + sizes.depth));
    ProductShape p;
    p.rows = sizes.rows;
    p.columns = sizes.columns;
    p.depth = sizes.depth;
    p.a_row = turned_a ? 1 : p.depth;
    p.a_depth = turned_a ? p.rows : 1;
    p.b_depth = turned_b ? 1 : p.columns;
    p.b_column = turned_b ? p.depth : 1;
    p.biased = 1;
    p.cut = turned_a ? 1 : 0;
    KernelView each;
    each.rank = 1;
    each.shape[0] = 2;
    each.strides[0] = p.rows * p.depth;
    auto same = each;
    same.strides[0] = 0;
    return {
        "product",
        tile_grid(p.rows, p.columns, 2),
        {drawn(elements_of({2, p.rows, p.depth}), rng),
         drawn(elements_of({p.depth, p.columns}), rng)},
        drawn(static_cast<std::size_t>(p.columns), rng),
        elements_of({2, p.rows, p.columns}),
        {Argument(each), Argument(same), Argument(p)}};
}

TEST_P(Bf16Products, OfMatricesAreThoseOfRoundedFactors) {
    for (const auto& sizes :
         {Sizes{1, 2, 3},
          Sizes{16, 8, 16},
          Sizes{63, 65, 31},
          Sizes{65, 63, 33},
          Sizes{64, 64, 32},
          Sizes{7, 131, 97},
          Sizes{130, 5, 64}}) {
        for (const bool turned_a : {false, true}) {
            for (const bool turned_b : {false, true}) {
                SCOPED_TRACE(std::to_string(sizes.rows) + " x " + std::to_string(sizes.depth));
                expect_rounded_products(product_of(sizes, turned_a, turned_b));
            }
        }
    }
}

/// Two groups of channels; strides, dilations and padding differ between the axes.
ConvolutionShape convolution_shape() {
    ConvolutionShape p;
    p.batch = 3;
    p.channels = 5;
    p.height = 9;
    p.width = 11;
    p.outputs = 7;
    p.groups = 2;
    p.kernel_height = 3;
    p.kernel_width = 2;
    p.stride_height = 2;
    p.stride_width = 1;
    p.pad_top = 1;
    p.pad_left = 2;
    p.dilation_height = 1;
    p.dilation_width = 3;
    p.out_height = (p.height + 2 - 3) / 2 + 1;
    p.out_width = p.width + 4 - 4 + 1;
    return p;
}

std::size_t inputs_of(const ConvolutionShape& p) {
    return elements_of({p.batch, p.groups, p.channels, p.height, p.width});
}

std::size_t outputs_of(const ConvolutionShape& p) {
    return elements_of({p.batch, p.groups, p.outputs, p.out_height, p.out_width});
}

std::size_t weights_of(const ConvolutionShape& p) {
    return elements_of({p.groups, p.outputs, p.channels, p.kernel_height, p.kernel_width});
}

TEST_P(Bf16Products, OfAConvolutionAreThoseOfRoundedFactors) {
    Rng rng(1);
    auto p = convolution_shape();
    p.biased = 1;
    const auto columns = p.batch * p.out_height * p.out_width;
    expect_rounded_products(
        {"convolution",
         tile_grid(p.outputs, columns, 2),
         {drawn(inputs_of(p), rng), drawn(weights_of(p), rng)},
         drawn(elements_of({p.groups, p.outputs}), rng),
         outputs_of(p),
         {Argument(p)}}
    );
}

TEST_P(Bf16Products, OfAConvolutionsSlopeByItsInputAreThoseOfRoundedFactors) {
    Rng rng(2);
    const auto p = convolution_shape();
    expect_rounded_products(
        {"convolution_gradient_input",
         tile_grid(p.channels, p.batch * p.height * p.width, 2),
         {drawn(outputs_of(p), rng), drawn(weights_of(p), rng)},
         {},
         inputs_of(p),
         {Argument(p)}}
    );
}

TEST_P(Bf16Products, OfAConvolutionsSlopeByItsWeightsAreThoseOfRoundedFactors) {
    Rng rng(3);
    const auto p = convolution_shape();
    constexpr std::int32_t kParts = 3;
    const auto taps = p.channels * p.kernel_height * p.kernel_width;
    expect_rounded_products(
        {"convolution_gradient_weight",
         tile_grid(p.outputs, taps, 2 * kParts),
         {drawn(outputs_of(p), rng), drawn(inputs_of(p), rng)},
         {},
         kParts * weights_of(p),
         {Argument(p), Argument(kParts)}}
    );
}

/// Rows whose only factors are those that a rounding may get wrong, each times one.
TEST_P(Bf16Products, RoundToTheNearestTiesToEvenAndKeepWhatIsNotFinite) {
    const Floats odd{
        1.0F + 0x1p-8F,
        1.0F + 0x1.8p-7F,
        1.0F + 0x1.02p-8F,
        -1.0F - 0x1.02p-8F,
        3.4e38F,
        -HUGE_VALF,
        0x1p-130F,
        0.0F,
        std::bit_cast<float>(0x7FFFFFFFU),
        std::bit_cast<float>(0xFF800001U)};
    ProductShape p;
    p.rows = static_cast<std::int32_t>(odd.size());
    p.columns = 1;
    p.depth = 1;
    p.a_row = p.a_depth = p.b_depth = p.b_column = 1;
    const Products run{
        "product",
        tile_grid(p.rows, 1, 1),
        {},
        {0.0F},
        odd.size(),
        {Argument(KernelView{}), Argument(KernelView{}), Argument(p)}};
    const auto found = carry_out(run, "product_bf16", {odd, {1.0F}});
    for (std::size_t i = 0; i < odd.size(); ++i) {
        const float wanted = widened(narrowed(odd[i]));
        if (std::isnan(wanted)) {
            EXPECT_TRUE(std::isnan(found[i])) << i;
        } else {
            EXPECT_EQ(found[i], wanted) << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Ways, Bf16Products, ::testing::Bool(), [](const auto& given) {
    return given.param ? "TensorCores" : "Plain";
});

}  // namespace
}  // namespace starling::compute::gpu
