// Goal: temporaries that live at the same time never share bytes, and others do.
// Method: a small table by hand, and random lifetimes checked pairwise.

#include "compute/values/memory_plan.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::compute {
namespace {

TEST(MemoryPlan, AChainNeedsTwoBuffers) {
    const auto plan = place({{64, 0, 1}, {64, 1, 2}, {64, 2, 3}, {64, 3, 4}});
    EXPECT_EQ(plan.bytes, 128U);
    EXPECT_EQ(plan.offsets[0], plan.offsets[2]);
}

TEST(MemoryPlan, NothingNeedsNothing) {
    EXPECT_EQ(place({}).bytes, 0U);
}

TEST(MemoryPlan, ContemporariesNeverOverlap) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        std::vector<Lifetime> lives;
        std::size_t total = 0;
        for (int i = 0; i < 40; ++i) {
            const auto first = static_cast<std::size_t>(rng.below(30));
            lives.push_back(
                {static_cast<std::size_t>(1 + rng.below(1000)),
                 first,
                 first + static_cast<std::size_t>(rng.below(6))}
            );
            total += lives.back().bytes + kBlockAlignment;
        }
        const auto plan = place(lives);
        EXPECT_LT(plan.bytes, total / 2);
        for (std::size_t i = 0; i < lives.size(); ++i) {
            EXPECT_EQ(plan.offsets[i] % kBlockAlignment, 0U);
            EXPECT_LE(plan.offsets[i] + lives[i].bytes, plan.bytes);
            for (std::size_t k = 0; k < i; ++k) {
                const bool together =
                    lives[i].first <= lives[k].last && lives[k].first <= lives[i].last;
                const bool overlap = plan.offsets[i] < plan.offsets[k] + lives[k].bytes &&
                                     plan.offsets[k] < plan.offsets[i] + lives[i].bytes;
                EXPECT_FALSE(together && overlap) << i << " and " << k;
            }
        }
    }
}

}  // namespace
}  // namespace starling::compute
