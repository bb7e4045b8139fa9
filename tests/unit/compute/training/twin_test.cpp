// Goal: training here gives the same losses as in PyTorch.
// Method: twenty steps from the same parameters, on the same batches, with the same optimizer. The
// losses of PyTorch are in tests/golden/torch_losses.json, beside the script that made them.

#include "tests/golden/twin.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "compute/models/models.hpp"
#include "tests/unit/compute/support/devices.hpp"
#include "tests/unit/compute/support/threads.hpp"

namespace starling::compute {
namespace {

/// Expects each loss of twenty steps to differ from PyTorch's by less than the share.
void expect_twin(const Twin& twin, Precision precision, double share) {
    std::ifstream file(STARLING_GOLDEN "/torch_losses.json");
    const auto golden = nlohmann::json::parse(file).at(std::string(twin.name));
    ASSERT_EQ(golden.size(), static_cast<std::size_t>(kTwinSteps));
    auto& device = test_device();
    if (precision == Precision::Bf16 && !has_bf16(device)) {
        GTEST_SKIP() << device.name() << " has no bf16";
    }
    EngineOptions options;
    options.device = device.name();
    options.model = twin.model;
    options.task = twin.task();
    options.batch = twin.batch;
    options.eval_batch = twin.batch;
    options.threads = threads_here(2);
    options.optimizer = *OptimizerSpec::parse(twin.optimizer);
    options.precision = precision;
    const auto layout = model_layout(options.model, options.task);
    ASSERT_TRUE(layout.has_value());
    ParameterStore store(*layout);
    twin_start(store);
    const auto engine = Engine::create(options, store);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    double worst = 0.0;
    for (int step = 0; step < kTwinSteps; ++step) {
        const auto batch = twin_batch(twin, step);
        const auto rate = options.optimizer.learning_rate;
        const auto loss = static_cast<double>((*engine)->step(batch.batch(), rate)->loss);
        const auto expected = golden.at(static_cast<std::size_t>(step)).get<double>();
        const auto difference = std::abs(loss - expected) / expected;
        EXPECT_LT(difference, share)
            << "step " << step << ": " << loss << " here, " << expected << " in PyTorch";
        worst = std::max(worst, difference);
    }
    std::printf("%s: at most %.2g of PyTorch's loss away\n", twin.name.data(), worst);
}

class TorchTwin : public ::testing::TestWithParam<Twin> {};

TEST_P(TorchTwin, EachLossIsPyTorchsToOnePartInTenThousand) {
    expect_twin(GetParam(), Precision::F32, 1e-4);
}

TEST_P(TorchTwin, EachLossInBf16IsPyTorchsToOnePartInFifty) {
    expect_twin(GetParam(), Precision::Bf16, 2e-2);
}

std::string name_of(const ::testing::TestParamInfo<Twin>& twin) {
    return std::string(twin.param.name);
}

INSTANTIATE_TEST_SUITE_P(Nets, TorchTwin, ::testing::ValuesIn(twins()), name_of);

}  // namespace
}  // namespace starling::compute
