// Goal: shards of records hold what the source has, are cut alike everywhere, and no bytes of a
// stranger do harm. Method: sources in memory with records of unlike sizes and each kind of label;
// every sample is found again; headers, ends and labels are spoilt one by one and at random.

#include <cstring>
#include <gtest/gtest.h>
#include <map>

#include "data/shard_format.hpp"
#include "data/shard_store.hpp"
#include "data/source.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

using testing::test_hash;

/// Records whose bytes tell their number and split, of 5 to 11 bytes each.
class NumberedSource final : public Source {
public:
    NumberedSource(LabelKind kind, std::array<std::uint32_t, kSplits> counts) {
        name_ = "numbered:";
        Input input;
        input.name = "image";
        input.storage = Storage::Encoded;
        input.shape = {{3, false}, {64, true}, {64, true}};
        schema_.inputs = {input};
        schema_.label = {kind, 5, {}, {}};
        ImageRecipe recipe;
        recipe.channels = 3;
        recipe.height = recipe.width = 8;
        recipe.scales = {{}};
        recipe_ = recipe;
        for (std::size_t split = 0; split < kSplits; ++split) {
            labels_[split] = LabelList(schema_.label);
            for (std::uint32_t i = 0; i < counts[split]; ++i) {
                labels_[split].add(schema_.label, value(i));
            }
        }
    }

    [[nodiscard]] LabelValue value(std::uint32_t i) const {
        LabelValue value;
        const auto kind = schema_.label.kind;
        if (kind == LabelKind::Class) value.classes = {static_cast<std::uint16_t>(i % 5)};
        if (kind == LabelKind::Numbers) value.numbers.assign(5, static_cast<float>(i));
        if (kind == LabelKind::Boxes) {
            const auto side = static_cast<float>(i + 1);
            value.boxes.assign(i % 4, {static_cast<std::uint16_t>(i % 5), 0, 0, side, side});
        }
        return value;
    }

    [[nodiscard]] Result<void> read(Split split, std::uint64_t i, Bytes& out) const override {
        if (i == broken) return fail(FaultCode::Truncated, "numbered: it breaks off");
        ByteWriter writer(out);
        writer.put(static_cast<std::uint8_t>(split));
        writer.put(static_cast<std::uint32_t>(i));
        for (std::uint64_t k = 0; k < i % 7; ++k) writer.put(std::uint8_t{7});
        return {};
    }

    std::uint64_t broken = ~std::uint64_t{0};
};

struct Cut {
    Manifest manifest;
    std::vector<Bytes> shards;
};

Cut cut(
    const Source& source,
    const Partition& partition = {},
    const std::optional<ShardCounts>& counts = std::nullopt
) {
    Cut cut;
    auto manifest = cut_source(source, partition, counts, test_hash, [&](CutShard one) {
        cut.shards.push_back(std::move(one.bytes));
        return Result<void>();
    });
    STARLING_CHECK(manifest.has_value());
    cut.manifest = std::move(*manifest);
    return cut;
}

TEST(Records, EachSampleIsInOneShardOfItsSplitWithItsLabel) {
    for (const auto kind : {LabelKind::Class, LabelKind::Numbers, LabelKind::Boxes}) {
        const NumberedSource source(kind, {1000, 70, 30});
        const auto made = cut(source);
        ShardStore store(made.manifest, test_hash);
        std::map<std::pair<std::uint8_t, std::uint32_t>, int> seen;
        for (const auto& shard : made.shards) {
            ASSERT_TRUE(store.put(shard).has_value());
            const auto view = store.view(shard);
            for (std::uint32_t i = 0; i < view.samples; ++i) {
                ByteReader reader(view.record(i));
                const auto split = reader.take<std::uint8_t>();
                const auto number = reader.take<std::uint32_t>();
                EXPECT_EQ(reader.remaining(), number % 7);
                ++seen[{split, number}];
                const auto label = read_label(made.manifest.schema.label, view.label_of(i));
                ASSERT_TRUE(label.has_value());
                EXPECT_EQ(*label, source.value(number));
            }
        }
        EXPECT_EQ(seen.size(), 1100U);
        EXPECT_EQ(made.manifest.samples(Split::Train), 1000U);
        EXPECT_EQ(made.manifest.samples(Split::Valid), 30U);
        const auto decoded = decode_manifest(encode_manifest(made.manifest));
        ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    }
}

TEST(Records, APeerWithTheSameFilesCutsTheSameShards) {
    const NumberedSource source(LabelKind::Class, {1000, 70, 0});
    for (const auto* text : {"iid", "iid?owners=3", "dirichlet?alpha=1&owners=4"}) {
        const auto partition = *Partition::parse(text);
        const auto founder = cut(source, partition);
        const auto joiner = cut(source, partition, shard_counts(founder.manifest));
        EXPECT_EQ(encode_manifest(joiner.manifest), encode_manifest(founder.manifest)) << text;
    }
    // A later release may want other sizes. It still cuts like the manifest that it is given.
    ShardCounts counts{{17}, 3, 0};
    const auto odd = cut(source, {}, counts);
    EXPECT_EQ(odd.manifest.shards.size(), 20U);
    const auto again = cut(source, {}, shard_counts(odd.manifest));
    EXPECT_EQ(encode_manifest(again.manifest), encode_manifest(odd.manifest));
}

TEST(Records, ManySamplesMakeManyShardsAndFewMakeSome) {
    EXPECT_EQ(shards_wanted(60000, 47'000'000), 2048U);
    EXPECT_EQ(shards_wanted(7500, 23'000'000), 937U);
    EXPECT_EQ(shards_wanted(30, 3000), 30U) << "so that each of a few peers has some";
    EXPECT_EQ(shards_wanted(1, 100), 1U);
    EXPECT_EQ(shards_wanted(455, 50'000), 64U);
    EXPECT_EQ(shards_wanted(455, 50'000, 10), 160U) << "16 for each peer that is waited for";
    EXPECT_EQ(shards_wanted(455, 50'000, 100), 455U) << "one sample each";
    EXPECT_EQ(shards_wanted(100'000, std::uint64_t{100} << 30U), 12801U) << "8 MiB each";
}

TEST(Records, WhatTheSourceCannotReadEndsTheCutting) {
    NumberedSource source(LabelKind::Class, {100, 10, 0});
    source.broken = 77;
    const auto made = cut_source(source, {}, std::nullopt, test_hash, [](const CutShard&) {
        return Result<void>();
    });
    ASSERT_TRUE(made.has_error());
    EXPECT_EQ(made.error().code, FaultCode::Truncated);
}

TEST(Records, AStoreRefusesEndsAndLabelsThatDoNotFit) {
    const NumberedSource source(LabelKind::Class, {64, 8, 0});
    const auto honest = cut(source, {}, ShardCounts{{1}, 1, 0});
    const auto refused = [&](std::size_t at, std::uint32_t number) {
        auto bytes = honest.shards[0];
        std::memcpy(bytes.data() + at, &number, 4);
        auto manifest = honest.manifest;
        manifest.shards[0].id.bytes = test_hash(bytes);
        ShardStore store(manifest, test_hash);
        const auto put = store.put(bytes);
        return put.has_error() && put.error().code == FaultCode::BadFormat;
    };
    EXPECT_TRUE(refused(4, 2)) << "another version";
    EXPECT_TRUE(refused(12, 65)) << "samples";
    EXPECT_TRUE(refused(16, 4)) << "bytes of labels";
    EXPECT_TRUE(refused(16, 0xffffffffU));
    EXPECT_TRUE(refused(20, 1)) << "the first end is 0";
    EXPECT_TRUE(refused(24, 0)) << "an empty record";
    EXPECT_TRUE(refused(28, 0xffffffffU)) << "an end behind the shard";
    EXPECT_TRUE(refused(20 + 65 * 4, 0x00050005)) << "labels out of range";
}

TEST(Records, MutatedShardsAreRefusedOrReadWithinTheirBytes) {
    Rng rng(5);
    std::size_t accepted = 0;
    for (const auto kind : {LabelKind::Class, LabelKind::Boxes}) {
        const NumberedSource source(kind, {64, 0, 0});
        const auto honest = cut(source, {}, ShardCounts{{1}, 0, 0});
        for (int round = 0; round < 20000; ++round) {
            auto bytes = honest.shards[0];
            const auto range = rng.chance(0.7) ? std::size_t{600} : bytes.size();
            for (auto flips = 1 + rng.below(2); flips > 0; --flips) {
                bytes[rng.below(range)] = static_cast<std::byte>(rng.below(256));
            }
            if (rng.chance(0.1)) bytes.resize(rng.below(bytes.size()));
            const auto view = open_shard(bytes, honest.manifest.shards[0], honest.manifest);
            if (view.has_error()) continue;
            ++accepted;
            std::size_t sum = 0;
            for (std::uint32_t i = 0; i < view->samples; ++i) {
                const auto record = view->record(i);
                sum += record.size();
                ASSERT_TRUE(read_label(honest.manifest.schema.label, view->label_of(i)).has_value()
                );
            }
            EXPECT_EQ(sum, view->values.size());
        }
    }
    EXPECT_GT(accepted, 500U);
}

}  // namespace
}  // namespace starling::data
