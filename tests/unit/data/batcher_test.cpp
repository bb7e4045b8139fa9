// Goal: each epoch visits each sample once, changes of the set repeat no sample, and a resumed
// batcher continues exactly where it was. Method: the samples have numbers, which the tests read
// back by undoing the normalisation.

#include "data/batcher.hpp"

#include <cmath>
#include <map>
#include <set>
#include <thread>

#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

/// Copies test samples and returns how many.
std::size_t test_samples(
    const ShardStore& store,
    std::size_t first,
    std::span<float> values,
    std::span<std::int32_t> labels
) {
    Preparation preparation(store.manifest());
    const auto count = values.size() / preparation.values();
    const auto read =
        read_samples(store, preparation, Split::Test, first, count, {values, labels.first(count)});
    EXPECT_EQ(read.passed, read.filled);
    return read.filled;
}

using testing::numbered_dataset;
using testing::test_hash;

constexpr std::size_t kElements = 6;

class Batches : public ::testing::Test {
protected:
    Batches() {
        for (const auto& shard : manifest().shards) {
            (shard.split == Split::Train ? train_ : test_).push_back(shard.id);
        }
    }

    [[nodiscard]] const Manifest& manifest() const { return sharded_.manifest; }

    void put_all() {
        for (const auto& shard : sharded_.shards) ASSERT_TRUE(store_.put(shard).has_value());
    }

    [[nodiscard]] std::uint8_t pixel(float value) const {
        const auto& scale = std::get<ImageRecipe>(manifest().recipe).scales[0];
        const float byte = (value * scale.stddev + scale.mean) * 255.0F;
        EXPECT_NEAR(byte, std::round(byte), 1e-2);
        return static_cast<std::uint8_t>(std::lround(byte));
    }

    std::uint32_t number(std::span<const float> sample, std::int32_t label) const {
        std::uint32_t number = 0;
        for (std::size_t i = 4; i-- > 0;) number = (number << 8U) | pixel(sample[i]);
        EXPECT_EQ(pixel(sample[4]), static_cast<std::uint8_t>(mix64(number)));
        EXPECT_EQ(label, static_cast<std::int32_t>(number % 5));
        return number;
    }

    std::vector<std::uint32_t> take(Batcher& batcher, std::size_t count) const {
        std::vector<float> values(count * kElements);
        std::vector<std::int32_t> labels(count);
        EXPECT_TRUE(batcher.next({values, labels}));
        std::vector<std::uint32_t> numbers;
        for (std::size_t i = 0; i < count; ++i) {
            numbers.push_back(number(std::span(values).subspan(i * kElements, kElements), labels[i])
            );
        }
        return numbers;
    }

    [[nodiscard]] std::set<std::uint32_t> numbers_in(std::span<const ShardId> ids) const {
        std::set<std::uint32_t> numbers;
        for (const auto& id : ids) {
            const auto bytes = store_.get(id);
            const auto view = store_.view(bytes);
            for (std::size_t s = 0; s < view.samples; ++s) {
                std::uint32_t number = 0;
                for (std::size_t i = 4; i-- > 0;) {
                    number = (number << 8U) | view.values[s * kElements + i];
                }
                numbers.insert(number);
            }
        }
        return numbers;
    }

    Sharded sharded_ = shard_dataset(numbered_dataset(210, 33), 20, test_hash);
    ShardStore store_{sharded_.manifest, test_hash};
    std::vector<ShardId> train_;
    std::vector<ShardId> test_;
};

TEST_F(Batches, EachEpochVisitsEachSampleOnceInAnotherOrder) {
    put_all();
    Batcher batcher(store_, 5);
    batcher.set_shards(train_);
    EXPECT_EQ(batcher.samples(), 210U);
    std::vector<std::vector<std::uint32_t>> epochs;
    for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
        EXPECT_EQ(batcher.position().epoch, epoch);
        std::vector<std::uint32_t> numbers;
        for (int i = 0; i < 7; ++i) {
            const auto batch = take(batcher, 30);
            numbers.insert(numbers.end(), batch.begin(), batch.end());
        }
        EXPECT_EQ(std::set(numbers.begin(), numbers.end()).size(), 210U);
        epochs.push_back(numbers);
    }
    EXPECT_NE(epochs[0], epochs[1]);
    EXPECT_FALSE(std::is_sorted(epochs[0].begin(), epochs[0].end()));
}

TEST_F(Batches, TheOrderIsThatOfEarlierReleases) {
    // The numbers come from a batcher that sorted the whole epoch at once. A checkpoint of its
    // time goes on in the same order only as long as these stay.
    put_all();
    Batcher batcher(store_, 5);
    batcher.set_shards(train_);
    const std::vector<std::uint32_t> first{176, 40, 29, 30, 27, 100, 62, 53};
    EXPECT_EQ(take(batcher, 8), first);
    std::uint64_t all = 0;
    const auto fold = [&](std::size_t count) {
        for (const auto n : take(batcher, count)) all = mix64(all ^ n);
    };
    fold(100);
    batcher.set_shards(std::span(train_).first(6));
    fold(300);
    batcher.set_shards(std::span(train_).subspan(2));
    fold(500);
    EXPECT_EQ(all, 4003550297557403990U);
    const auto position = batcher.position();
    EXPECT_EQ(position.epoch, 6U);
    EXPECT_EQ(position.next, 188567573396332405U);
    batcher.resume({7, std::uint64_t{1} << 62U, 11});
    fold(50);
    EXPECT_EQ(all, 5035949208737717044U);
}

TEST_F(Batches, ABatchWrapsIntoTheNextEpoch) {
    put_all();
    Batcher batcher(store_, 5);
    batcher.set_shards(train_);
    std::map<std::uint32_t, int> times;
    for (const auto n : take(batcher, 630)) ++times[n];
    EXPECT_EQ(times.size(), 210U);
    for (const auto& [n, count] : times) EXPECT_EQ(count, 3) << n;
    EXPECT_EQ(batcher.position().epoch, 3U);
}

TEST_F(Batches, TheOrderDependsOnTheSeedAndNotOnTheOrderOfTheIds) {
    put_all();
    Batcher a(store_, 5);
    Batcher b(store_, 5);
    Batcher c(store_, 6);
    a.set_shards(train_);
    c.set_shards(train_);
    std::vector<ShardId> backwards(train_.rbegin(), train_.rend());
    backwards.push_back(backwards.front());
    b.set_shards(backwards);
    EXPECT_EQ(b.samples(), 210U);
    const auto batch = take(a, 210);
    EXPECT_EQ(take(b, 210), batch);
    EXPECT_NE(take(c, 210), batch);
}

TEST_F(Batches, ARemainingShardRepeatsNothingWhenTheSetChanges) {
    put_all();
    const auto stays = std::span(train_).first(5);
    const auto comes = std::span(train_).subspan(7, 2);
    std::vector<ShardId> after(stays.begin(), stays.end());
    after.insert(after.end(), comes.begin(), comes.end());
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Batcher batcher(store_, seed);
        batcher.set_shards(std::span(train_).first(7));
        std::map<std::uint32_t, int> times;
        for (const auto n : take(batcher, 60)) ++times[n];
        batcher.set_shards(after);
        while (batcher.position().epoch == 0) ++times[take(batcher, 1).front()];
        for (const auto n : numbers_in(stays)) EXPECT_EQ(times[n], 1) << n;
        for (const auto n : numbers_in(comes)) EXPECT_LE(times[n], 1) << n;
        // The next epoch visits every sample of the new set.
        const auto next = take(batcher, batcher.samples());
        EXPECT_EQ(std::set(next.begin(), next.end()), numbers_in(after));
    }
}

TEST_F(Batches, ResumeGivesTheSameFollowingBatches) {
    put_all();
    Batcher original(store_, 9);
    original.set_shards(train_);
    take(original, 150);
    // A changed set is the hard case: the order must not depend on sets that the batcher had
    // before.
    original.set_shards(std::span(train_).first(8));
    take(original, 13);
    Batcher resumed(store_, 9);
    resumed.set_shards(std::span(train_).first(8));
    resumed.resume(original.position());
    for (int i = 0; i < 10; ++i) EXPECT_EQ(take(resumed, 37), take(original, 37));
    Batcher resumed_before_set(store_, 9);
    resumed_before_set.resume(original.position());
    resumed_before_set.set_shards(std::span(train_).first(8));
    EXPECT_EQ(take(resumed_before_set, 50), take(original, 50));
}

TEST_F(Batches, ShardsNotYetHeldAreSkippedUntilTheyArrive) {
    Batcher batcher(store_, 5);
    batcher.set_shards(std::span(train_).first(2));
    std::vector<float> values(kElements, -7.0F);
    std::vector<std::int32_t> labels(1, -7);
    EXPECT_FALSE(batcher.next({values, labels}));
    EXPECT_EQ(values, std::vector<float>(kElements, -7.0F));
    EXPECT_EQ(labels.front(), -7);
    EXPECT_EQ(batcher.samples(), 0U);
    ASSERT_TRUE(store_.put(sharded_.shards[1]).has_value());
    const auto one = manifest().shards[1].samples;
    EXPECT_EQ(batcher.samples(), one);
    const auto first = take(batcher, one);
    EXPECT_EQ(std::set(first.begin(), first.end()), numbers_in(std::span(train_).subspan(1, 1)));
    ASSERT_TRUE(store_.put(sharded_.shards[0]).has_value());
    const auto both = take(batcher, batcher.samples());
    EXPECT_EQ(std::set(both.begin(), both.end()), numbers_in(std::span(train_).first(2)));
}

TEST_F(Batches, ShardsMayArriveWhileBatchesAreTaken) {
    Batcher batcher(store_, 5);
    batcher.set_shards(train_);
    std::thread arrivals([this] { put_all(); });
    std::vector<float> values(8 * kElements);
    std::vector<std::int32_t> labels(8);
    while (batcher.samples() < 210) (void)batcher.next({values, labels});
    arrivals.join();
    // Whenever the shards arrived: the epoch after the running one is complete.
    const auto epoch = batcher.position().epoch;
    while (batcher.position().epoch == epoch) take(batcher, 1);
    const auto numbers = take(batcher, 210);
    EXPECT_EQ(std::set(numbers.begin(), numbers.end()).size(), 210U);
}

TEST_F(Batches, AnEmptySetStopsAndAnotherStarts) {
    put_all();
    Batcher batcher(store_, 5);
    batcher.set_shards(train_);
    take(batcher, 100);
    batcher.set_shards({});
    std::vector<float> values(kElements);
    std::vector<std::int32_t> labels(1);
    EXPECT_FALSE(batcher.next({values, labels}));
    batcher.set_shards(std::span(train_).first(1));
    EXPECT_EQ(take(batcher, 500).size(), 500U);
}

TEST_F(Batches, APositionAtTheVeryEndOfAnEpochIsHarmless) {
    put_all();
    Batcher batcher(store_, 5);
    batcher.set_shards(train_);
    batcher.resume({3, ~std::uint64_t{0}});
    const auto numbers = take(batcher, 210);
    EXPECT_EQ(std::set(numbers.begin(), numbers.end()).size(), 210U);
    EXPECT_EQ(batcher.position().epoch, 5U);
}

TEST_F(Batches, TestSamplesComeInManifestOrderFromHeldShards) {
    std::vector<float> values(100 * kElements);
    std::vector<std::int32_t> labels(100);
    EXPECT_EQ(test_samples(store_, 0, values, labels), 0U);
    put_all();
    ASSERT_EQ(test_samples(store_, 0, values, labels), 33U);
    std::vector<std::uint32_t> whole;
    for (std::size_t i = 0; i < 33; ++i) {
        whole.push_back(number(std::span(values).subspan(i * kElements, kElements), labels[i]));
    }
    EXPECT_EQ(std::set(whole.begin(), whole.end()), numbers_in(test_));
    std::vector<std::uint32_t> pieces;
    for (std::size_t first = 0;;) {
        const auto part = std::span(values).first(10 * kElements);
        const auto got = test_samples(store_, first, part, labels);
        if (got == 0) break;
        for (std::size_t i = 0; i < got; ++i) {
            pieces.push_back(number(part.subspan(i * kElements, kElements), labels[i]));
        }
        first += got;
    }
    EXPECT_EQ(pieces, whole);
}

TEST_F(Batches, AShardThatMovesIntoAFileGivesTheSameSamplesAndItsMemoryIsFree) {
    put_all();
    Batcher batcher(store_, 3);
    Batcher twin(store_, 3);
    batcher.set_shards(train_);
    std::vector<float> values(4 * kElements);
    std::vector<std::int32_t> labels(4);
    ASSERT_TRUE(batcher.next({values, labels, {}}));
    const std::weak_ptr<const void> memory = store_.get(train_[0]).bytes.owner;
    for (std::size_t i = 0; i < manifest().shards.size(); ++i) {
        auto file = share(sharded_.shards[i]);
        file.mapped = true;
        ASSERT_TRUE(store_.put_known(manifest().shards[i].id, std::move(file)).has_value());
    }
    twin.set_shards(train_);
    twin.resume(batcher.position());
    auto expected = values;
    auto expected_labels = labels;
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(batcher.next({values, labels, {}}));
        ASSERT_TRUE(twin.next({expected, expected_labels, {}}));
        EXPECT_EQ(values, expected);
        EXPECT_EQ(labels, expected_labels);
    }
    EXPECT_TRUE(memory.expired());
}

}  // namespace
}  // namespace starling::data
