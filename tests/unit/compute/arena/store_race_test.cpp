// Goal: nothing is lost when one thread updates chunks while another adds to the same chunks.
// Method: both threads add whole numbers a fixed number of times; the totals are exact in f32.

#include <gtest/gtest.h>
#include <thread>

#include "compute/models/models.hpp"
#include "compute/training/engine.hpp"
#include "tests/unit/compute/support/homes.hpp"
#include "tests/unit/compute/support/synthetic.hpp"

namespace starling::compute {
namespace {

class Handoff : public testing::TestWithParam<HomeKind> {};

INSTANTIATE_TEST_SUITE_P(In, Handoff, kHomes, name_of);

TEST_P(Handoff, UpdatesAndDeltasBothArriveInFull) {
    constexpr int kUpdates = 200;
    ParameterInfo info;
    info.name = "w";
    info.shape = {70000};
    const ParameterLayout layout({info});
    auto store = store_in(GetParam(), layout);
    std::vector<int> added(layout.chunks().size(), 0);
    std::thread network([&] {
        for (std::size_t c = 0; c < layout.chunks().size(); ++c) {
            const std::vector<float> ones(layout.chunks()[c].elements, 1.0F);
            Bytes copy(ones.size() * sizeof(float));
            while (added[c] < kUpdates) {
                added[c] += store.try_add(c, std::as_bytes(std::span(ones))) ? 1 : 0;
                (void)store.try_read(c, copy);
                std::this_thread::yield();
            }
        }
    });
    for (int i = 0; i < kUpdates; ++i) {
        for (std::size_t c = 0; c < layout.chunks().size(); ++c) {
            store.update(c, [](std::span<float> values, std::uint64_t) {
                for (auto& value : values) value += 2.0F;
            });
        }
    }
    network.join();
    for (std::size_t c = 0; c < layout.chunks().size(); ++c) {
        std::vector<float> values(layout.chunks()[c].elements);
        store.read(c, values);
        EXPECT_EQ(values, std::vector<float>(values.size(), 3.0F * kUpdates));
        EXPECT_EQ(store.version(c), 2U * kUpdates);
    }
}

TEST_P(Handoff, ATrainerOnItsOwnThreadLearnsWhileChunksAreReadAndAdded) {
    EngineOptions options;
    options.model = "mlp?hidden=64";
    options.task = {{1, 12, 12}, 6};
    options.batch = 32;
    auto store = store_in(GetParam(), *model_layout(options.model, options.task));
    store.initialize(Rng(1));
    auto engine = Engine::create(options, store);
    ASSERT_TRUE(engine.has_value());
    std::atomic<bool> done{false};
    double accuracy = 0.0;
    std::thread trainer([&] {
        for (std::uint64_t step = 0; step < 60; ++step) {
            const auto batch = synthetic_samples(options.task, 32, step);
            (void)(*engine)->step({batch.values, batch.labels}, 0.02);
        }
        const auto test = synthetic_samples(options.task, 50, 999);
        accuracy = (*engine)->evaluate({test.values, test.labels})->accuracy();
        done = true;
    });
    const auto elements = store.layout().chunks()[0].elements;
    const Bytes zero(elements * sizeof(float));
    Bytes copy(elements * sizeof(float));
    while (!done) {
        (void)store.try_read(0, copy);
        (void)store.try_add(0, zero);
        std::this_thread::yield();
    }
    trainer.join();
    EXPECT_GT(accuracy, 0.95);
}

}  // namespace
}  // namespace starling::compute
