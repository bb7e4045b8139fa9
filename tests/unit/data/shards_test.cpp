// Goal: sharding neither loses nor repeats a sample, and a store accepts only shards that the
// manifest lists. Method: numbered samples, spoilt shards, and a manifest that lies.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "data/shard_store.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

using testing::numbered_dataset;
using testing::test_hash;

std::uint32_t number_of(const ShardView& view, std::size_t sample, std::size_t elements) {
    std::uint32_t number = 0;
    for (std::size_t i = 4; i-- > 0;) number = (number << 8U) | view.values[sample * elements + i];
    return number;
}

TEST(Shards, EverySampleLandsInOneShardWithItsLabel) {
    const auto dataset = numbered_dataset(1234, 77);
    const auto sharded = shard_dataset(dataset, 100, test_hash);
    const ShardStore store(sharded.manifest, test_hash);
    std::set<std::uint32_t> seen;
    ASSERT_EQ(sharded.shards.size(), sharded.manifest.shards.size());
    for (std::size_t i = 0; i < sharded.shards.size(); ++i) {
        const auto& info = sharded.manifest.shards[i];
        EXPECT_EQ(info.id.bytes, test_hash(sharded.shards[i]));
        EXPECT_EQ(info.bytes, sharded.shards[i].size());
        const auto view = store.view(sharded.shards[i]);
        ASSERT_EQ(view.samples, info.samples);
        EXPECT_LE(view.samples, 100U);
        EXPECT_GE(view.samples, 77U);
        for (std::size_t s = 0; s < view.samples; ++s) {
            const auto number = number_of(view, s, 6);
            EXPECT_TRUE(seen.insert(number).second);
            EXPECT_EQ(number >= 1000000, info.split == Split::Test);
            EXPECT_EQ(view.label(s), number % 5);
            EXPECT_EQ(view.values[s * 6 + 4], static_cast<std::uint8_t>(mix64(number)));
        }
    }
    EXPECT_EQ(seen.size(), 1234U + 77U);
    EXPECT_EQ(sharded.manifest.samples(Split::Train), 1234U);
    EXPECT_EQ(sharded.manifest.samples(Split::Test), 77U);
}

TEST(Shards, AFileSortedByLabelStillGivesFairShards) {
    Dataset dataset = numbered_dataset(2000, 10);
    std::sort(dataset.train.labels.begin(), dataset.train.labels.end());
    const auto sharded = shard_dataset(dataset, 200, test_hash);
    const ShardStore store(sharded.manifest, test_hash);
    for (std::size_t i = 0; i < 10; ++i) {
        const auto view = store.view(sharded.shards[i]);
        std::map<std::uint16_t, int> counts;
        for (std::size_t s = 0; s < view.samples; ++s) ++counts[view.label(s)];
        // We expect 40 of each class. Five deviations of the hypergeometric distribution are 27.
        for (std::uint16_t c = 0; c < 5; ++c) EXPECT_NEAR(counts[c], 40, 27);
    }
}

TEST(Shards, TheSameFilesGiveTheSameShardsAndEqualSamplesGiveDifferentOnes) {
    const auto a = shard_dataset(numbered_dataset(50, 10), 10, test_hash);
    const auto b = shard_dataset(numbered_dataset(50, 10), 10, test_hash);
    EXPECT_EQ(encode_manifest(a.manifest), encode_manifest(b.manifest));
    Dataset constant = numbered_dataset(4, 4);
    for (auto* samples : {&constant.train, &constant.test}) {
        samples->values.assign(samples->values.size(), 7);
        samples->labels.assign(4, 1);
    }
    const auto sharded = shard_dataset(constant, 1, test_hash);
    EXPECT_TRUE(check_manifest(sharded.manifest).has_value());
    EXPECT_EQ(sharded.manifest.shards.size(), 8U);
    EXPECT_EQ(std::get<ImageRecipe>(sharded.manifest.recipe).scales[0].stddev, 1.0F);
}

TEST(Shards, MeanAndDeviationAreThoseOfTheTrainingValues) {
    Dataset dataset = numbered_dataset(300, 10);
    double sum = 0;
    double squares = 0;
    for (const auto value : dataset.train.values) {
        sum += value / 255.0;
        squares += value / 255.0 * value / 255.0;
    }
    const auto n = static_cast<double>(dataset.train.values.size());
    const auto sharded = shard_dataset(dataset, 10, test_hash);
    const auto scale = std::get<ImageRecipe>(sharded.manifest.recipe).scales[0];
    EXPECT_NEAR(scale.mean, sum / n, 1e-6);
    EXPECT_NEAR(scale.stddev, std::sqrt(squares / n - sum / n * sum / n), 1e-6);
}

TEST(Shards, TerminalEscapesInAPathStayOutOfTheManifest) {
    Dataset dataset = numbered_dataset(10, 1);
    dataset.name = "idx:/tmp/\x1b[2J";
    EXPECT_EQ(shard_dataset(dataset, 5, test_hash).manifest.name, "idx:/tmp/?[2J");
}

TEST(ShardStore, HoldsWhatTheManifestPromisesAndSharesIt) {
    const auto sharded = shard_dataset(numbered_dataset(100, 20), 10, test_hash);
    ShardStore store(sharded.manifest, test_hash);
    const auto& info = sharded.manifest.shards[3];
    EXPECT_FALSE(store.has(info.id));
    EXPECT_FALSE(store.get(info.id));
    ASSERT_TRUE(store.put(sharded.shards[3]).has_value());
    EXPECT_TRUE(store.has(info.id));
    EXPECT_EQ(store.held(), 1U);
    const auto first = store.get(info.id);
    ASSERT_TRUE(store.put(sharded.shards[3]).has_value());
    EXPECT_EQ(store.get(info.id).bytes.owner, first.bytes.owner)
        << "a second arrival must not replace bytes in use";
    EXPECT_EQ(store.info(info.id)->samples, info.samples);
    EXPECT_EQ(store.info(ShardId{}), nullptr);
}

SharedBytes as_mapped(Bytes bytes) {
    auto shared = share(std::move(bytes));
    shared.mapped = true;
    return shared;
}

TEST(ShardStore, WhatWasUsedLongestAgoIsSpareFirst) {
    const auto sharded = shard_dataset(numbered_dataset(100, 20), 10, test_hash);
    ShardStore store(sharded.manifest, test_hash);
    std::vector<ShardId> ids;
    for (std::size_t i = 0; i < 5; ++i) {
        ids.push_back(sharded.manifest.shards[i].id);
        ASSERT_TRUE(store.put_known(ids[i], as_mapped(sharded.shards[i])).has_value());
    }
    const auto size = sharded.shards[0].size();
    EXPECT_EQ(store.bytes(), 5 * size);
    (void)store.get(ids[0]);
    const std::vector<ShardId> keep{ids[2]};
    EXPECT_EQ(store.spare(keep, size + 1, 10), (std::vector{ids[1], ids[3]}));
    EXPECT_EQ(store.spare(keep, 100 * size, 3), (std::vector{ids[1], ids[3], ids[4]}));
    EXPECT_EQ(store.spare(keep, 100 * size, 10).back(), ids[0]);
    EXPECT_TRUE(store.spare(keep, 0, 10).empty());
}

TEST(ShardStore, AShardThatIsGivenUpMayComeAgain) {
    const auto sharded = shard_dataset(numbered_dataset(100, 20), 10, test_hash);
    ShardStore store(sharded.manifest, test_hash);
    int told = 0;
    store.on_arrival([&told] { ++told; });
    const auto& id = sharded.manifest.shards[3].id;
    ASSERT_TRUE(store.put(sharded.shards[3]).has_value());
    EXPECT_FALSE(store.drop(id)) << "its file is about to be written";
    ASSERT_TRUE(store.put_known(id, as_mapped(sharded.shards[3])).has_value());
    const auto used = store.get(id);
    EXPECT_TRUE(store.drop(id));
    EXPECT_FALSE(store.drop(id));
    EXPECT_FALSE(store.has(id));
    EXPECT_EQ(store.bytes(), 0U);
    EXPECT_EQ(used.size(), sharded.shards[3].size()) << "whoever uses it may go on";
    EXPECT_EQ(told, 2) << "its arrival and its end";
    EXPECT_EQ(store.take_dropped(), std::vector{id});
    EXPECT_TRUE(store.take_dropped().empty());
    const auto arrivals = store.arrivals();
    ASSERT_TRUE(store.put(sharded.shards[3]).has_value());
    EXPECT_EQ(store.arrivals(), arrivals + 1) << "held() is what it was";
}

TEST(ShardStore, AFileReplacesTheSameBytesInMemory) {
    const auto sharded = shard_dataset(numbered_dataset(100, 20), 10, test_hash);
    ShardStore store(sharded.manifest, test_hash);
    const auto& id = sharded.manifest.shards[3].id;
    ASSERT_TRUE(store.put(sharded.shards[3]).has_value());
    EXPECT_EQ(store.in_memory(), std::vector<ShardId>{id});
    EXPECT_EQ(store.memory_bytes(), sharded.shards[3].size());
    const auto before = store.get(id);
    ASSERT_TRUE(store.put_known(id, as_mapped(sharded.shards[3])).has_value());
    EXPECT_EQ(store.moves(), 1U);
    EXPECT_EQ(store.memory_bytes(), 0U);
    EXPECT_EQ(store.bytes(), sharded.shards[3].size());
    EXPECT_TRUE(store.in_memory().empty());
    EXPECT_EQ(store.held(), 1U);
    EXPECT_TRUE(store.get(id).bytes.mapped);
    EXPECT_EQ(before.bytes.owner.use_count(), 1) << "the store has let go of the bytes in memory";
    ASSERT_TRUE(store.put(sharded.shards[3]).has_value());
    EXPECT_TRUE(store.get(id).bytes.mapped) << "what comes again over the network changes nothing";
    const auto& other = sharded.manifest.shards[4].id;
    EXPECT_EQ(
        store.put_known(ShardId{}, share(sharded.shards[4])).error().code, FaultCode::NotFound
    );
    auto torn = sharded.shards[4];
    torn.pop_back();
    EXPECT_EQ(store.put_known(other, share(std::move(torn))).error().code, FaultCode::Corrupt);
}

TEST(ShardStore, IsCrowdedWhileMoreLiesInMemoryThanMayWait) {
    const auto sharded = shard_dataset(numbered_dataset(100, 20), 10, test_hash);
    ShardStore store(sharded.manifest, test_hash);
    int arrivals = 0;
    store.on_arrival([&arrivals] { ++arrivals; }, sharded.shards[0].size());
    ASSERT_TRUE(store.put(sharded.shards[0]).has_value());
    EXPECT_FALSE(store.crowded());
    ASSERT_TRUE(store.put(sharded.shards[1]).has_value());
    EXPECT_TRUE(store.crowded());
    EXPECT_EQ(arrivals, 2);
    const auto& id = sharded.manifest.shards[0].id;
    ASSERT_TRUE(store.put_known(id, as_mapped(sharded.shards[0])).has_value());
    EXPECT_FALSE(store.crowded());
    EXPECT_EQ(arrivals, 2) << "a file is no arrival";
    ASSERT_TRUE(store.put(sharded.shards[2]).has_value());
    EXPECT_TRUE(store.crowded());
    store.on_arrival({});
    EXPECT_FALSE(store.crowded()) << "nobody would make room";
}

TEST(ShardStore, DamagedBytesAreInNoManifest) {
    const auto sharded = shard_dataset(numbered_dataset(30, 10), 10, test_hash);
    ShardStore store(sharded.manifest, test_hash);
    const Bytes& good = sharded.shards[0];
    for (std::size_t at = 0; at < good.size(); ++at) {
        Bytes bad = good;
        bad[at] ^= std::byte{1};
        EXPECT_EQ(store.put(bad).error().code, FaultCode::NotFound) << at;
        EXPECT_FALSE(store.put(Bytes(good.begin(), good.begin() + static_cast<long>(at))));
    }
    EXPECT_FALSE(store.put(Bytes{}).has_value());
    EXPECT_EQ(store.held(), 0U);
}

TEST(ShardStore, AFoundersLieIsNoticedThoughTheHashMatches) {
    const auto honest = shard_dataset(numbered_dataset(30, 10), 10, test_hash);
    const auto answer = [&honest](std::size_t at, std::byte value) {
        Manifest manifest = honest.manifest;
        Bytes bytes = honest.shards[0];
        bytes[at] = value;
        manifest.shards[0].id.bytes = test_hash(bytes);
        ShardStore store(manifest, test_hash);
        const auto put = store.put(bytes);
        return put ? FaultCode::Cancelled : put.error().code;
    };
    EXPECT_EQ(answer(8, std::byte{9}), FaultCode::Cancelled) << "the ordinal is free";
    EXPECT_EQ(answer(0, std::byte{9}), FaultCode::BadFormat) << "magic";
    EXPECT_EQ(answer(4, std::byte{9}), FaultCode::BadFormat) << "version";
    EXPECT_EQ(answer(6, std::byte{1}), FaultCode::BadFormat) << "split";
    EXPECT_EQ(answer(12, std::byte{9}), FaultCode::BadFormat) << "samples";
    EXPECT_EQ(answer(16, std::byte{9}), FaultCode::BadFormat) << "sample bytes";
    const std::size_t last_label = honest.shards[0].size() - 2;
    EXPECT_EQ(answer(last_label, std::byte{4}), FaultCode::Cancelled) << "label 4 of 5 classes";
    EXPECT_EQ(answer(last_label, std::byte{5}), FaultCode::BadFormat) << "label 5 of 5 classes";
}

TEST(ShardStore, AnotherSizeThanTheManifestsIsCorrupt) {
    auto sharded = shard_dataset(numbered_dataset(30, 10), 10, test_hash);
    Bytes longer = sharded.shards[0];
    longer.push_back(std::byte{0});
    sharded.manifest.shards[0].id.bytes = test_hash(longer);
    ShardStore store(sharded.manifest, test_hash);
    EXPECT_EQ(store.put(longer).error().code, FaultCode::Corrupt);
}

}  // namespace
}  // namespace starling::data
