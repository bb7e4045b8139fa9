// Goal: the shards of a text lose no characters but a few at the end of a shard, and windows are as a language model
// needs them. Method: a text in memory whose characters are counted, and one whose characters are their places.

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "data/batcher.hpp"
#include "data/shard_format.hpp"
#include "tests/unit/data/support/datasets.hpp"
#include "tests/unit/data/support/few_tokens.hpp"

namespace starling::data {
namespace {

using testing::cut_text;
using testing::FewTokens;
using testing::test_hash;

/// A text in which the three preceding characters determine each character's place: numbers with spaces between
/// them. Nine tenths of its 20,000 characters are for training.
FewTokens counted(std::uint32_t context = 16) {
    std::vector<std::uint16_t> tokens;
    for (std::size_t i = 0; tokens.size() < 20000; ++i) {
        for (const char digit : std::to_string(i)) {
            tokens.push_back(static_cast<std::uint16_t>(digit - '0' + 1));
        }
        tokens.push_back(0);
    }
    tokens.resize(20000);
    const auto border = tokens.begin() + 18000;
    return {"counted", " 0123456789", context, {tokens.begin(), border}, {border, tokens.end()}};
}

TEST(TokenRuns, ShardsAreTheTextInOrderWhateverTheContext) {
    const auto text = counted();
    const auto sharded = cut_text(text, 1000, test_hash);
    std::vector<std::uint16_t> train;
    std::vector<std::uint16_t> test;
    for (std::size_t i = 0; i < sharded.shards.size(); ++i) {
        const auto& info = sharded.manifest.shards[i];
        EXPECT_EQ(info.id.bytes, test_hash(sharded.shards[i]));
        const ShardStore store(sharded.manifest, test_hash);
        const auto view = store.view(sharded.shards[i]);
        EXPECT_EQ(view.samples, (view.tokens() - 1) / 16);
        EXPECT_EQ(view.samples, info.samples);
        auto& tokens = info.split == Split::Train ? train : test;
        for (std::size_t t = 0; t < view.tokens(); ++t) tokens.push_back(view.token(t));
    }
    EXPECT_EQ(train, text.all(Split::Train));
    EXPECT_EQ(test, text.all(Split::Test));
    EXPECT_EQ(sharded.manifest.shards.size(), 18U + 1U);
    const auto other = cut_text(counted(40), 1000, test_hash);
    ASSERT_EQ(other.shards.size(), sharded.shards.size());
    EXPECT_EQ(other.shards, sharded.shards);
}

TEST(TokenRuns, EqualSharesGoRoundAndOtherPartitionsHaveNoLabelsToGoBy) {
    const auto text = counted();
    const auto sharded = cut_text(text, 1000, test_hash, *Partition::parse("iid?owners=3"));
    std::map<std::uint32_t, int> shards;
    for (const auto& info : sharded.manifest.shards) {
        if (info.split == Split::Train) ++shards[info.partition];
    }
    EXPECT_EQ(shards, (std::map<std::uint32_t, int>{{0, 6}, {1, 6}, {2, 6}}));
    std::vector<Bytes> kept;
    for (const auto* wrong : {"labels?owners=3", "iid?owners=300"}) {
        const auto refused =
            cut_tokens(text, *Partition::parse(wrong), std::nullopt, test_hash, collect_in(kept));
        ASSERT_TRUE(refused.has_error()) << wrong;
        EXPECT_EQ(refused.error().code, FaultCode::Usage);
    }
}

TokenRecipe& tokens_of(Manifest& manifest) {
    return std::get<TokenRecipe>(manifest.recipe);
}

TEST(TokenRuns, AManifestOfATextSurvivesItsEncodingAndLiesAreRefused) {
    const auto sharded = cut_text(counted(), 1000, test_hash, *Partition::parse("iid?owners=3"));
    const auto bytes = encode_manifest(sharded.manifest);
    EXPECT_EQ(bytes[5], std::byte{2}) << "the version";
    const auto decoded = decode_manifest(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_EQ(encode_manifest(*decoded), bytes);
    EXPECT_EQ(decoded->recipe, sharded.manifest.recipe);
    EXPECT_EQ(decoded->partition, "iid?owners=3&seed=1");
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_FALSE(decode_manifest(ByteView(bytes).first(length)).has_value()) << length;
    }
    const auto refused = [&](const auto& spoil) {
        auto manifest = sharded.manifest;
        spoil(manifest);
        return !check_manifest(manifest).has_value();
    };
    EXPECT_TRUE(refused([](Manifest& m) { tokens_of(m).context = kContextMax + 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { tokens_of(m).vocabulary += "z"; }));
    EXPECT_TRUE(refused([](Manifest& m) {
        std::swap(tokens_of(m).vocabulary[1], tokens_of(m).vocabulary[2]);
    }));
    EXPECT_TRUE(refused([](Manifest& m) { tokens_of(m).vocabulary[1] = tokens_of(m).vocabulary[2]; }
    ));
    EXPECT_TRUE(refused([](Manifest& m) { tokens_of(m).vocabulary.back() = '\xff'; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].samples += 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].bytes += 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].bytes = 2; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards[0].partition = 3; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.shards.back().partition = 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.partitions = kPartitionsMax + 1; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.partitions = 0; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.partition = ""; }));
    EXPECT_TRUE(refused([](Manifest& m) { m.partition = "iid\x1b[2J"; }));
}

TEST(TokenRuns, AStoreRefusesTokensBeyondTheVocabulary) {
    const auto sharded = cut_text(counted(), 1000, test_hash);
    const auto answer = [&](std::size_t at, std::byte value) {
        auto manifest = sharded.manifest;
        auto bytes = sharded.shards[0];
        bytes[at] = value;
        manifest.shards[0].id.bytes = test_hash(bytes);
        return ShardStore(manifest, test_hash).put(bytes).has_value();
    };
    EXPECT_TRUE(answer(kShardHeaderBytes, std::byte{10})) << "the last of eleven";
    EXPECT_FALSE(answer(kShardHeaderBytes, std::byte{11}));
    EXPECT_FALSE(answer(kShardHeaderBytes + 1, std::byte{1}));
    EXPECT_FALSE(answer(4, std::byte{1})) << "version of samples";
    EXPECT_FALSE(answer(12, std::byte{1})) << "count";
    EXPECT_FALSE(answer(16, std::byte{1})) << "width";
}

class Windows : public ::testing::Test {
protected:
    static constexpr std::size_t kContext = 16;

    Windows() {
        store_.emplace(sharded_.manifest, test_hash);
        for (std::size_t i = 0; i < sharded_.shards.size(); ++i) {
            EXPECT_TRUE(store_->put(sharded_.shards[i]).has_value());
            const auto& info = sharded_.manifest.shards[i];
            if (info.split == Split::Train) train_.push_back(info.id);
        }
    }

    /// Writes a shard whose token at each place is that place. Its size is `windows` windows and a
    /// rest of `rest` characters, beside the last label.
    static Sharded places(std::size_t windows, std::size_t rest) {
        const std::size_t ring = windows * kContext + rest;
        std::string vocabulary;
        std::vector<std::uint16_t> tokens;
        for (std::size_t i = 0; i <= ring; ++i) {
            append_utf8(vocabulary, static_cast<char32_t>(0x4e00 + i));
            tokens.push_back(static_cast<std::uint16_t>(i));
        }
        const std::vector<std::uint16_t> test(2 * kContext, 0);
        return cut_text({"places", vocabulary, kContext, tokens, test}, ring + 1, test_hash);
    }

    std::vector<float> take(Batcher& batcher, std::size_t count) const {
        std::vector<float> values(count * kContext);
        std::vector<std::int32_t> labels(count * kContext);
        EXPECT_TRUE(batcher.next({values, labels}));
        return values;
    }

    FewTokens text_ = counted();
    Sharded sharded_ = cut_text(text_, 1000, test_hash);
    std::optional<ShardStore> store_;
    std::vector<ShardId> train_;
};

TEST_F(Windows, AnEpochHasEachCharacterOnceAndTheNextBeginsElsewhere) {
    for (const std::size_t rest : {0U, 5U, 15U}) {
        const auto sharded = places(6, rest);
        const std::size_t ring = 6 * kContext + rest;
        ShardStore store(sharded.manifest, test_hash);
        for (const auto& bytes : sharded.shards) ASSERT_TRUE(store.put(bytes).has_value());
        Batcher batcher(store, 5);
        batcher.set_shards(std::vector{sharded.manifest.shards[0].id});
        constexpr int kEpochs = 400;
        std::vector<int> total(ring);
        std::set<std::size_t> phases;
        for (int epoch = 0; epoch < kEpochs; ++epoch) {
            std::vector<int> seen(ring);
            std::vector<float> values(6 * kContext);
            std::vector<std::int32_t> labels(values.size());
            ASSERT_TRUE(batcher.next({values, labels}));
            for (std::size_t i = 0; i < values.size(); ++i) {
                const auto place = static_cast<std::size_t>(values[i]);
                ASSERT_EQ(labels[i], static_cast<std::int32_t>(place + 1));
                if (i % kContext != 0) {
                    ASSERT_EQ(place, (static_cast<std::size_t>(values[i - 1]) + 1) % ring);
                }
                ++seen[place];
                ++total[place];
            }
            phases.insert(static_cast<std::size_t>(values[0]) % kContext);
            EXPECT_EQ(*std::max_element(seen.begin(), seen.end()), 1) << "a character came twice";
            EXPECT_EQ(std::count(seen.begin(), seen.end(), 0), rest);
        }
        EXPECT_EQ(phases.size(), kContext) << "a window may begin everywhere";
        // What no whole window holds is left out at another place in each epoch. A character misses
        // an epoch with a probability of 15 / 111 at most, so in 400 epochs 54 with a deviation of 7.
        const double expected = kEpochs * 96.0 / static_cast<double>(ring);
        for (const auto count : total) EXPECT_NEAR(count, expected, rest == 0 ? 0.5 : 35.0);
    }
}

TEST_F(Windows, ResumeGivesTheSameFollowingWindows) {
    Batcher original(*store_, 9);
    original.set_shards(train_);
    take(original, 700);
    Batcher resumed(*store_, 9);
    resumed.set_shards(train_);
    resumed.resume(original.position());
    for (int i = 0; i < 30; ++i) EXPECT_EQ(take(resumed, 37), take(original, 37));
    Batcher other(*store_, 10);
    other.set_shards(train_);
    EXPECT_NE(take(other, 37), take(original, 37));
}

TEST_F(Windows, TheirPlacesAreThoseOfEarlierReleases) {
    Batcher batcher(*store_, 9);
    batcher.set_shards(train_);
    std::uint64_t all = 0;
    for (const auto value : take(batcher, 700)) {
        all = mix64(all ^ static_cast<std::uint64_t>(value));
    }
    EXPECT_EQ(all, 14591227762562708355U);
}

TEST_F(Windows, TestWindowsAreConsecutiveAndCoverTheTestPartOnce) {
    std::vector<float> values(7 * kContext);
    std::vector<std::int32_t> labels(7 * kContext);
    std::vector<std::uint16_t> inputs;
    std::vector<std::uint16_t> targets;
    for (std::size_t first = 0;;) {
        Preparation preparation(store_->manifest());
        const auto got = read_samples(
                             *store_,
                             preparation,
                             Split::Test,
                             first,
                             values.size() / preparation.values(),
                             {values, labels}
        )
                             .filled;
        if (got == 0) break;
        first += got;
        for (std::size_t i = 0; i < got * kContext; ++i) {
            inputs.push_back(static_cast<std::uint16_t>(values[i]));
            targets.push_back(static_cast<std::uint16_t>(labels[i]));
        }
    }
    const auto& text = text_.all(Split::Test);
    const std::size_t covered = (text.size() - 1) / kContext * kContext;
    ASSERT_EQ(inputs.size(), covered);
    EXPECT_TRUE(std::equal(inputs.begin(), inputs.end(), text.begin()));
    EXPECT_TRUE(std::equal(targets.begin(), targets.end(), text.begin() + 1));
}

}  // namespace
}  // namespace starling::data
