// Goal: drawing ahead changes nothing but the time: no sample is lost or repeated when the set
// changes, and the position is that of what was taken. Method: a Batcher that gets the same calls is
// the oracle, batch by batch; the thread runs as it likes.

#include "data/prefetch.hpp"

#include <gtest/gtest.h>
#include <map>
#include <thread>

#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

using testing::numbered_dataset;
using testing::test_hash;

constexpr std::size_t kElements = 6;

class Prefetching : public ::testing::Test {
protected:
    Prefetching() {
        for (const auto& shard : sharded_.manifest.shards) {
            if (shard.split == Split::Train) train_.push_back(shard.id);
        }
    }

    void put(std::size_t index) { ASSERT_TRUE(store_.put(sharded_.shards[index]).has_value()); }

    void put_all() {
        for (std::size_t i = 0; i < sharded_.shards.size(); ++i) put(i);
    }

    [[nodiscard]] std::vector<ShardId> random_shards(Rng& rng) const {
        std::vector<ShardId> shards;
        const double chosen = rng.uniform();
        for (const auto& id : train_) {
            if (rng.chance(chosen)) shards.push_back(id);
        }
        return shards;
    }

    Sharded sharded_ = shard_dataset(numbered_dataset(210, 33), 20, test_hash);
    ShardStore store_{sharded_.manifest, test_hash};
    std::vector<ShardId> train_;
};

/// Takes a batch from both and compares.
::testing::AssertionResult same_batch(Prefetcher& ahead, Batcher& plain, std::size_t samples) {
    std::vector<float> values(samples * kElements);
    std::vector<std::int32_t> labels(samples);
    const bool wanted = plain.next({values, labels});
    const auto* batch = ahead.next();
    if (wanted != (batch != nullptr)) {
        return ::testing::AssertionFailure() << "one of them has no sample";
    }
    if (ahead.position() != plain.position()) {
        return ::testing::AssertionFailure() << "another position";
    }
    if (wanted && (batch->values != values || batch->labels != labels)) {
        return ::testing::AssertionFailure() << "another batch";
    }
    return ::testing::AssertionSuccess();
}

TEST_F(Prefetching, GivesWhatABatcherGivesOverChangesArrivalsAndJumps) {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        ShardStore store(sharded_.manifest, test_hash);
        const std::size_t samples = 1 + rng.below(40);
        Prefetcher ahead(store, seed, samples);
        Batcher plain(store, seed);
        std::vector<BatcherPosition> seen{plain.position()};
        for (int step = 0; step < 60; ++step) {
            SCOPED_TRACE("step " + std::to_string(step));
            if (rng.chance(0.2)) {
                const auto shards = random_shards(rng);
                ahead.set_shards(shards);
                plain.set_shards(shards);
            }
            if (rng.chance(0.2)) {
                ASSERT_TRUE(store.put(rng.pick(std::span<const Bytes>(sharded_.shards))));
            }
            if (rng.chance(0.1)) {
                const auto to = rng.pick(std::span<const BatcherPosition>(seen));
                ahead.resume(to);
                plain.resume(to);
                ASSERT_EQ(ahead.position(), plain.position());
            }
            ASSERT_EQ(ahead.samples(), plain.samples());
            ASSERT_TRUE(same_batch(ahead, plain, samples));
            seen.push_back(plain.position());
        }
    }
}

TEST_F(Prefetching, AChangeOfTheSetLosesAndRepeatsNoSample) {
    put_all();
    Prefetcher ahead(store_, 3, 5);
    ahead.set_shards(train_);
    std::map<std::vector<float>, int> times;
    const auto take = [&] {
        const auto* batch = ahead.next();
        ASSERT_NE(batch, nullptr);
        for (std::size_t i = 0; i < 5; ++i) {
            const auto* begin = batch->values.data() + i * kElements;
            ++times[std::vector(begin, begin + kElements)];
        }
    };
    // The set changes after each batch, and is whole again before the next one.
    for (int i = 0; i < 42; ++i) {
        take();
        ahead.set_shards(std::span(train_).first(3));
        ahead.set_shards(train_);
    }
    EXPECT_EQ(ahead.position().epoch, 1U);
    EXPECT_EQ(times.size(), 210U);
    for (const auto& [sample, count] : times) EXPECT_EQ(count, 1);
}

TEST_F(Prefetching, ThePositionIsThatOfWhatWasTaken) {
    put_all();
    Prefetcher first(store_, 3, 7);
    first.set_shards(train_);
    for (int i = 0; i < 9; ++i) ASSERT_NE(first.next(), nullptr);
    // Its thread has drawn ahead, or not. The next life gets the tenth batch all the same.
    Prefetcher second(store_, 4, 7);
    second.set_shards(train_);
    second.resume(first.position());
    const auto* expected = first.next();
    const auto* batch = second.next();
    ASSERT_NE(expected, nullptr);
    ASSERT_NE(batch, nullptr);
    EXPECT_EQ(batch->values, expected->values);
}

TEST_F(Prefetching, ShardsMayArriveWhileBatchesAreTaken) {
    Prefetcher ahead(store_, 5, 8);
    ahead.set_shards(train_);
    std::thread arrivals([this] { put_all(); });
    while (ahead.samples() < 210) (void)ahead.next();
    arrivals.join();
    Batcher plain(store_, 5);
    plain.set_shards(train_);
    ASSERT_NE(ahead.next(), nullptr);
    plain.resume(ahead.position());
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(same_batch(ahead, plain, 8));
}

TEST_F(Prefetching, EndsWhileBatchesAreDrawn) {
    put_all();
    for (int i = 0; i < 50; ++i) {
        Prefetcher ahead(store_, 5, 32);
        ahead.set_shards(train_);
        for (int taken = 0; taken < i % 5; ++taken) ASSERT_NE(ahead.next(), nullptr);
    }
}

TEST(BatchesAhead, AreFewerAsTheyGrow) {
    EXPECT_EQ(batches_ahead(1), 4U);
    EXPECT_EQ(batches_ahead(10U << 20U), 3U);
    EXPECT_EQ(batches_ahead(100U << 20U), 2U);
}

}  // namespace
}  // namespace starling::data
