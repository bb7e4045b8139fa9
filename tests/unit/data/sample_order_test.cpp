// Goal: slices give the order of a full sort, over every change of the set and every jump, in
// bounded memory. Method: a naive twin that sorts all that is left of the epoch whenever anything
// changes is the oracle, over random seeds, sets, arrivals, losses and jumps.

#include "data/sample_order.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <tuple>

#include "base/rng.hpp"

namespace starling::data {
namespace {

using Shards = std::vector<OrderedShard>;

ShardId shard_id(std::uint64_t number) {
    ShardId id;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
        id.bytes[i] = static_cast<std::uint8_t>(mix64(number) >> (8 * (i % 8)));
    }
    return id;
}

/// Makes shards in the order of their ids.
Shards make_shards(std::span<const std::uint32_t> samples) {
    Shards shards;
    for (std::size_t i = 0; i < samples.size(); ++i) shards.push_back({shard_id(i), samples[i]});
    std::sort(shards.begin(), shards.end(), [](const auto& a, const auto& b) {
        return a.id < b.id;
    });
    return shards;
}

/// The oracle.
class FullSort {
public:
    explicit FullSort(std::uint64_t seed) : position_{0, 0, seed} {}

    void set(const Shards& shards) {
        shards_ = shards;
        stale_ = true;
    }

    void resume(const BatcherPosition& position) {
        position_ = {position.epoch, position.next, position.seed ? position.seed : position_.seed};
        stale_ = true;
    }

    [[nodiscard]] const BatcherPosition& position() const { return position_; }

    std::optional<std::pair<std::uint32_t, std::uint32_t>> next() {
        std::uint64_t all = 0;
        for (const auto& shard : shards_) all += shard.samples;
        if (all == 0) return std::nullopt;
        if (stale_) sort();
        if (order_.empty()) {
            next_epoch();
            sort();
        }
        const auto [key, slot, sample] = order_[cursor_++];
        position_.next = key + 1;
        if (cursor_ == order_.size()) next_epoch();
        return std::pair(slot, sample);
    }

private:
    void next_epoch() {
        position_ = {position_.epoch + 1, 0, position_.seed};
        stale_ = true;
    }

    void sort() {
        const std::uint64_t epoch_seed = mix64(*position_.seed ^ mix64(position_.epoch));
        order_.clear();
        cursor_ = 0;
        for (std::uint32_t s = 0; s < shards_.size(); ++s) {
            const std::uint64_t seed = mix64(epoch_seed ^ shards_[s].id.prefix64());
            for (std::uint32_t i = 0; i < shards_[s].samples; ++i) {
                const std::uint64_t key = mix64(seed ^ mix64(i)) >> 1U;
                if (key >= position_.next) order_.emplace_back(key, s, i);
            }
        }
        std::sort(order_.begin(), order_.end());
        stale_ = false;
    }

    Shards shards_;
    BatcherPosition position_;
    std::vector<std::tuple<std::uint64_t, std::uint32_t, std::uint32_t>> order_;
    std::size_t cursor_ = 0;
    bool stale_ = true;
};

/// Draws from both and returns whether they agree.
::testing::AssertionResult same_draws(SampleOrder& order, FullSort& oracle, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto wanted = oracle.next();
        const auto got = order.next();
        if (wanted.has_value() != got.has_value()) {
            return ::testing::AssertionFailure() << "one of them has no sample at draw " << i;
        }
        if (!got) return ::testing::AssertionSuccess();
        if (std::pair(got->slot, got->sample) != *wanted) {
            return ::testing::AssertionFailure()
                   << "draw " << i << " is sample " << got->sample << " of shard " << got->slot
                   << ", not " << wanted->second << " of " << wanted->first;
        }
        if (order.position() != oracle.position()) {
            return ::testing::AssertionFailure() << "another position after draw " << i;
        }
    }
    return ::testing::AssertionSuccess();
}

/// A random part of a pool of shards, some of which are not held yet.
Shards random_set(Rng& rng, const Shards& pool) {
    const double chosen = rng.uniform();
    const double held = rng.chance(0.3) ? rng.uniform() : 1.0;
    Shards set;
    for (const auto& shard : pool) {
        if (!rng.chance(chosen)) continue;
        set.push_back({shard.id, rng.chance(held) ? shard.samples : 0});
    }
    return set;
}

TEST(SampleOrder, IsThatOfAFullSortOverRandomChangesAndJumps) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        // Sets of one slice and of hundreds; blocks of indices that are full, and that are not.
        std::vector<std::uint32_t> sizes(1 + rng.below(12));
        const std::uint64_t most = rng.chance(0.2) ? 3000 : 200;
        for (auto& size : sizes) size = static_cast<std::uint32_t>(1 + rng.below(most));
        const Shards pool = make_shards(sizes);
        SampleOrder order(seed, {1 + rng.below(200), 1 + rng.below(100), 1 + rng.below(1000)});
        FullSort oracle(seed);
        std::vector<BatcherPosition> seen{order.position()};
        for (int step = 0; step < 40; ++step) {
            SCOPED_TRACE("step " + std::to_string(step));
            if (rng.chance(0.6)) {
                const Shards set = random_set(rng, pool);
                order.set(set);
                oracle.set(set);
            }
            if (rng.chance(0.3)) {
                // Mostly back by little, as a queue that was drawn ahead asks for it.
                const std::size_t back = rng.chance(0.7) ? 1 + rng.below(3) : 1 + rng.below(30);
                auto to = seen[seen.size() - std::min(back, seen.size())];
                if (rng.chance(0.1)) to.next = rng.next();
                if (rng.chance(0.1)) to.seed = rng.chance(0.5) ? std::nullopt : std::optional(7);
                order.resume(to);
                oracle.resume(to);
                ASSERT_EQ(order.position(), oracle.position());
            }
            ASSERT_TRUE(same_draws(order, oracle, rng.below(rng.chance(0.2) ? 1500 : 60)));
            seen.push_back(order.position());
        }
    }
}

TEST(SampleOrder, OfManyUsualSlicesIsThatOfAFullSort) {
    const std::vector<std::uint32_t> sizes(30, 5000);
    Shards shards = make_shards(sizes);
    SampleOrder order(3);
    FullSort oracle(3);
    order.set(shards);
    oracle.set(shards);
    ASSERT_TRUE(same_draws(order, oracle, 70000));
    shards.erase(shards.begin() + 4, shards.begin() + 9);
    order.set(shards);
    oracle.set(shards);
    ASSERT_TRUE(same_draws(order, oracle, 150000));
    EXPECT_EQ(order.position().epoch, 1U);
}

TEST(SampleOrder, ASetThatGrowsShardByShardKeepsSlicesSmall) {
    const std::vector<std::uint32_t> sizes(100, 500);
    const Shards all = make_shards(sizes);
    Shards set = all;
    for (auto& shard : set) shard.samples = 0;
    SampleOrder order(8, {1000, 100, 100000});
    FullSort oracle(8);
    std::size_t most = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        set[(7 * i) % set.size()].samples = 500;
        order.set(set);
        oracle.set(set);
        ASSERT_TRUE(same_draws(order, oracle, 20)) << "after arrival " << i;
        most = std::max(most, order.memory_bytes());
    }
    EXPECT_EQ(order.samples(), 50000U);
    // Two slices of at most 1,500 entries of 8 B, 100 shards of 48 B, and 8 KiB of hashes. All in one
    // slice would be 400,000 B.
    EXPECT_LT(most, 60000U);
}

TEST(SampleOrder, OfTenMillionSamplesTakesATenthOfAByteEach) {
    const std::vector<std::uint32_t> sizes(1000, 10000);
    Shards shards = make_shards(sizes);
    SampleOrder order(3);
    order.set(shards);
    const auto draw = [&](int count) {
        for (int i = 0; i < count; ++i) ASSERT_TRUE(order.next().has_value());
    };
    draw(50000);
    EXPECT_LT(order.memory_bytes(), 1000000U);
    shards.resize(500);
    order.set(shards);
    draw(1000);
    shards = make_shards(sizes);
    order.set(shards);
    draw(50000);
    EXPECT_LT(order.memory_bytes(), 1000000U);
}

TEST(SampleOrder, ASamplesSeedDependsOnSeedEpochShardAndIndexAlone) {
    const Shards pool = make_shards(std::vector<std::uint32_t>{50, 80, 20, 300});
    std::map<std::tuple<std::uint64_t, ShardId, std::uint32_t>, std::uint64_t> seeds;
    const auto look = [&](const Shards& set, SliceLimits limits) {
        SampleOrder order(4, limits);
        order.set(set);
        while (order.position().epoch < 3) {
            const auto epoch = order.position().epoch;
            const auto draw = order.next();
            const auto place = std::tuple(epoch, set[draw->slot].id, draw->sample);
            EXPECT_EQ(seeds.emplace(place, draw->seed).first->second, draw->seed);
        }
    };
    look(pool, {});
    look({pool[1], pool[3]}, {10, 100, 1000});
    EXPECT_EQ(seeds.size(), 3 * 450U);
    std::map<std::uint64_t, int> times;
    for (const auto& [place, seed] : seeds) ++times[seed];
    EXPECT_EQ(times.size(), seeds.size()) << "two samples, or two epochs of one, have one seed";
}

TEST(SampleOrder, WithoutSamplesGivesNothingAndKeepsThePosition) {
    SampleOrder order(1);
    EXPECT_FALSE(order.next().has_value());
    order.set(make_shards(std::vector<std::uint32_t>{0, 0}));
    order.resume({4, 99, std::nullopt});
    EXPECT_FALSE(order.next().has_value());
    EXPECT_EQ(order.position(), (BatcherPosition{4, 99, 1}));
}

}  // namespace
}  // namespace starling::data
