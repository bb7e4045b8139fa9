// Goal: after a refresh, or an update that writes them, a plan's copies hold what the store holds,
// whoever has changed it; and a refresh copies only what has changed.
// Method: a store of several chunks with tensors across their borders, copies in both types.

#include "compute/arena/weight_copies.hpp"

#include <bit>
#include <gtest/gtest.h>

#include "compute/cpu/device.hpp"
#include "compute/training/optimizer.hpp"
#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/devices.hpp"
#include "tests/unit/compute/support/homes.hpp"
#include "tests/unit/compute/support/threads.hpp"

namespace starling::compute {
namespace {

/// Three tensors: the second lies across the first two chunks, the third ends in the third.
class Copied {
public:
    explicit Copied(const HomeKind& home)
        : layout_({{"a", {40000}}, {"b", {50000}}, {"c", {60000}}}),
          store(layout_, home.make(layout_.elements())),
          copies(layout_),
          exact_(50000),
          rounded_(60000) {
        store.initialize(Rng(0));
        auto values = contents(store);
        Rng rng(5);
        for (auto& value : values) value = static_cast<float>(rng.normal());
        store.write_all(values);
        copies.add(layout_.parameters()[2], reinterpret_cast<std::byte*>(rounded_.data()), true);
        copies.add(layout_.parameters()[1], reinterpret_cast<std::byte*>(exact_.data()), false);
    }

    /// Counts the elements of the copies that are not what the store holds.
    std::size_t differences() {
        const auto values = contents(store);
        std::size_t count = 0;
        for (std::size_t i = 0; i < exact_.size(); ++i) count += exact_[i] != values[40000 + i];
        for (std::size_t i = 0; i < rounded_.size(); ++i) {
            const auto widened =
                std::bit_cast<float>(static_cast<std::uint32_t>(rounded_[i]) << 16U);
            count += std::abs(widened - values[90000 + i]) > 0.004F * std::abs(values[90000 + i]);
        }
        return count;
    }

    void add_one_to(std::size_t chunk) {
        const std::vector<float> ones(layout_.chunks()[chunk].elements, 1.0F);
        ASSERT_TRUE(store.try_add(chunk, std::as_bytes(std::span(ones))));
    }

private:
    ParameterLayout layout_;

public:
    ParameterStore store;
    WeightCopies copies;

private:
    std::vector<float> exact_;
    std::vector<std::uint16_t> rounded_;
};

class WeightCopiesOf : public testing::TestWithParam<HomeKind> {};

INSTANTIATE_TEST_SUITE_P(In, WeightCopiesOf, kHomes, name_of);

TEST_P(WeightCopiesOf, RefreshCopiesAllAtFirstAndThenWhatHasChanged) {
    Copied c(GetParam());
    EXPECT_GT(c.differences(), 100000U);
    c.copies.refresh(c.store, threads_here(2));
    EXPECT_EQ(c.differences(), 0U);
    for (std::size_t chunk = 0; chunk < c.store.layout().chunks().size(); ++chunk) {
        c.add_one_to(chunk);
        EXPECT_GT(c.differences(), 10000U) << chunk;
        c.copies.refresh(c.store, 1);
        EXPECT_EQ(c.differences(), 0U) << chunk;
    }
}

TEST_P(WeightCopiesOf, AnUpdateWritesThemAndAMixBeforeOrAfterItIsNotMissed) {
    Copied c(GetParam());
    const auto& layout = c.store.layout();
    Optimizer optimizer({}, layout, threads_here(2), cpu_device());
    const std::vector<float> gradient(layout.elements(), 0.5F);
    c.copies.refresh(c.store, 1);
    c.add_one_to(1);
    make_step(cpu_device(), optimizer, c.store, gradient, 0.1, &c.copies);
    EXPECT_EQ(c.differences(), 0U);
    c.add_one_to(2);
    EXPECT_GT(c.differences(), 0U);
    c.copies.refresh(c.store, 1);
    EXPECT_EQ(c.differences(), 0U);
}

TEST_P(WeightCopiesOf, ARefreshLeavesChunksAloneThatNobodyChanged) {
    Copied c(GetParam());
    c.copies.refresh(c.store, 1);
    // What stands in a copy without a new version of its chunk stays there.
    const std::vector<float> sevens(100, 7.0F);
    c.copies.write(50000, sevens);
    c.copies.refresh(c.store, 1);
    EXPECT_EQ(c.differences(), 100U);
}

}  // namespace
}  // namespace starling::compute
