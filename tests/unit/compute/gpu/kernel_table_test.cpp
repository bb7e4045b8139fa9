// Goal: the host's table of kernels is what the compiler of a driver sees in their sources: each kernel once,
// with these arguments in this order, and groups of this size; and what the table refuses is wrong. Method:
// OpenCL builds the sources with information about arguments. The launches of all operators are held
// against the table where plans are made.

#include "compute/gpu/kernel_table.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <map>
#include <vector>

#include "compute/gpu/kernels.hpp"
#include "compute/gpu/opencl_devices.hpp"
#include "compute/gpu/opencl_owned.hpp"
#include "tests/unit/compute/support/devices.hpp"

namespace starling::compute::gpu {
namespace {

constexpr cl::Uint kFunctionName = 0x1190;
constexpr cl::Uint kArgumentCount = 0x1191;
constexpr cl::Uint kArgumentPlace = 0x1196;
constexpr cl::Uint kArgumentType = 0x1198;
constexpr cl::Uint kPlaceGlobal = 0x119B;
constexpr cl::Uint kPlacePrivate = 0x119E;
constexpr cl::Uint kCompiledGroup = 0x11B1;

/// OpenCL's functions that only this test calls.
struct Questions {
    cl::Int (*kernels)(cl::Program, cl::Uint, cl::Kernel*, cl::Uint*) = nullptr;
    cl::Int (*kernel)(cl::Kernel, cl::Uint, std::size_t, void*, std::size_t*) = nullptr;
    cl::Int (*argument)(cl::Kernel, cl::Uint, cl::Uint, std::size_t, void*, std::size_t*) = nullptr;
    cl::Int (*group)(cl::Kernel, cl::Device, cl::Uint, std::size_t, void*, std::size_t*) = nullptr;

    static Questions find() {
        void* library = ::dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_NOLOAD);
        const auto take = [library](const char* name, auto& to) {
            to = reinterpret_cast<std::remove_reference_t<decltype(to)>>(::dlsym(library, name));
            EXPECT_NE(to, nullptr) << name;
        };
        Questions found;
        take("clCreateKernelsInProgram", found.kernels);
        take("clGetKernelInfo", found.kernel);
        take("clGetKernelArgInfo", found.argument);
        take("clGetKernelWorkGroupInfo", found.group);
        return found;
    }
};

class KernelTables : public ::testing::Test {
protected:
    void SetUp() override {
        if (test_device().on_host()) GTEST_SKIP() << test_device().name() << " has no compiler";
        const auto found = opencl_devices();
        ASSERT_TRUE(found.has_value()) << found.error().message;
        for (const auto& device : *found) {
            if (device.info.name == test_device().name()) device_ = device.id;
        }
        const auto& api = **cl::api();
        cl::Int status = cl::kSuccess;
        context_ = {api, api.CreateContext(nullptr, 1, &device_, nullptr, nullptr, &status)};
        ASSERT_EQ(status, cl::kSuccess);
        const auto source = kernel_source();
        const char* text = source.data();
        const auto length = source.size();
        program_ = {api, api.CreateProgramWithSource(context_.get(), 1, &text, &length, &status)};
        ASSERT_EQ(status, cl::kSuccess);
        constexpr const char* kOptions = "-cl-std=CL1.2 -cl-kernel-arg-info";
        ASSERT_EQ(
            api.BuildProgram(program_.get(), 1, &device_, kOptions, nullptr, nullptr), cl::kSuccess
        );
        ask_ = Questions::find();
        cl::Uint count = 0;
        ASSERT_EQ(ask_.kernels(program_.get(), 0, nullptr, &count), cl::kSuccess);
        std::vector<cl::Kernel> handles(count);
        ASSERT_EQ(ask_.kernels(program_.get(), count, handles.data(), nullptr), cl::kSuccess);
        for (auto* const handle : handles) {
            char name[200] = "";
            ASSERT_EQ(
                ask_.kernel(handle, kFunctionName, sizeof(name), name, nullptr), cl::kSuccess
            );
            kernels_[name] = cl::OwnedKernel(api, handle);
        }
    }

    /// Returns the argument as `global float*` or `I64`.
    std::string argument_of(cl::Kernel kernel, cl::Uint index) {
        cl::Uint place = 0;
        char type[200] = "";
        EXPECT_EQ(
            ask_.argument(kernel, index, kArgumentPlace, sizeof(place), &place, nullptr),
            cl::kSuccess
        );
        EXPECT_EQ(
            ask_.argument(kernel, index, kArgumentType, sizeof(type), type, nullptr), cl::kSuccess
        );
        EXPECT_TRUE(place == kPlaceGlobal || place == kPlacePrivate) << index;
        return (place == kPlaceGlobal ? "global " : "") + std::string(type);
    }

    cl::Device device_ = nullptr;
    cl::OwnedContext context_;
    cl::OwnedProgram program_;
    Questions ask_;
    std::map<std::string, cl::OwnedKernel, std::less<>> kernels_;
};

/// Names of types, as one compiler has them or another, which sees through a typedef.
std::string plain(const std::string& type) {
    static const std::map<std::string, std::string> kBehind{
        {"I64", "long"}, {"U64", "ulong"}, {"U32", "uint"}};
    const auto found = kBehind.find(type);
    return found == kBehind.end() ? type : found->second;
}

std::vector<std::string> types_of(std::string_view letters) {
    static const std::map<char, std::vector<std::string>> kTypes{
        {'F', {"global float*", "long"}},
        {'W', {"global int*", "long"}},
        {'i', {"int"}},
        {'u', {"uint"}},
        {'l', {"long"}},
        {'L', {"ulong"}},
        {'f', {"float"}},
        {'V', {"KernelView"}},
        {'P', {"ProductShape"}},
        {'C', {"ConvolutionShape"}},
        {'S', {"LossShape"}},
        {'O', {"PoolShape"}},
        {'H', {"ChannelShape"}},
        {'A', {"AttentionShape"}}};
    std::vector<std::string> types;
    for (const char letter : letters) {
        const auto& some = kTypes.at(letter);
        types.insert(types.end(), some.begin(), some.end());
    }
    return types;
}

TEST_F(KernelTables, EachKernelOfTheSourcesIsInTheTableAndNoOther) {
    EXPECT_EQ(kernels_.size(), kernel_table().size());
    for (const auto& facts : kernel_table()) {
        EXPECT_TRUE(kernels_.contains(facts.name)) << facts.name;
    }
}

TEST_F(KernelTables, ArgumentsAreWhatTheCompilerSees) {
    for (const auto& facts : kernel_table()) {
        SCOPED_TRACE(facts.name);
        const auto found = kernels_.find(facts.name);
        ASSERT_NE(found, kernels_.end());
        auto* const kernel = found->second.get();
        cl::Uint count = 0;
        ASSERT_EQ(
            ask_.kernel(kernel, kArgumentCount, sizeof(count), &count, nullptr), cl::kSuccess
        );
        std::vector<std::string> seen;
        for (cl::Uint i = 0; i < count; ++i) seen.push_back(plain(argument_of(kernel, i)));
        EXPECT_EQ(seen, types_of(facts.arguments));
        // The driver takes the host's structures for its own by their size alone.
        cl::Uint index = 0;
        for (const char letter : facts.arguments) {
            if (letter == 'F' || letter == 'W') {
                index += 2;
                continue;
            }
            const std::vector<std::byte> zeros(argument_bytes(letter));
            EXPECT_EQ(
                (*cl::api())->SetKernelArg(kernel, index++, zeros.size(), zeros.data()),
                cl::kSuccess
            ) << letter;
        }
    }
}

TEST_F(KernelTables, GroupsHaveTheSizeThatTheKernelRequires) {
    int required = 0;
    for (const auto& facts : kernel_table()) {
        std::array<std::size_t, 3> group{};
        const auto found = kernels_.find(facts.name);
        ASSERT_NE(found, kernels_.end());
        ASSERT_EQ(
            ask_.group(
                found->second.get(), device_, kCompiledGroup, sizeof(group), group.data(), nullptr
            ),
            cl::kSuccess
        );
        if (group == std::array<std::size_t, 3>{}) continue;
        ++required;
        EXPECT_EQ(group, facts.threads) << facts.name;
    }
    EXPECT_EQ(required, 8) << "the tiled products, in f32 and in bf16";
}

class NoMemory final : public DeviceMemory {
public:
    NoMemory() : DeviceMemory(1) {}
};

TEST(KernelTable, ALaunchThatDoesNotFitIsToldWithItsKernel) {
    NoMemory memory;
    const Argument place(&memory, 0);
    const Launch good{
        "scale",
        {{1, 1, 1}, {kFlatLanes, 1, 1}},
        {place, Argument(std::int64_t{1}), Argument(1.0F)}};
    EXPECT_EQ(mismatch(good), "");
    auto launch = good;
    launch.kernel = "scales";
    EXPECT_EQ(mismatch(launch), "scales is no kernel");
    launch = good;
    launch.grid.threads[0] = kRowLanes;
    EXPECT_EQ(mismatch(launch), "scale has groups of another size");
    launch = good;
    launch.arguments.pop_back();
    EXPECT_EQ(mismatch(launch), "scale has 3 arguments, not 2");
    launch = good;
    launch.arguments[1] = Argument(std::int32_t{1});
    EXPECT_EQ(mismatch(launch), "scale wants another argument 1");
    launch = good;
    launch.arguments[0] = Argument(std::int64_t{0});
    EXPECT_EQ(mismatch(launch), "scale wants another argument 0");
    launch = good;
    launch.arguments[2] = place;
    EXPECT_EQ(mismatch(launch), "scale wants another argument 2");
}

}  // namespace
}  // namespace starling::compute::gpu
