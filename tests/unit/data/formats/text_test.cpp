// Goal: the shards of a text lose no characters but a few at the end of a shard, windows are as a
// language model needs them, and wrong texts get one line. Method: small files that the tests
// write, a text whose characters are their places, and the novel of the repository.

#include <algorithm>
#include <map>
#include <set>
#include <sys/stat.h>
#include <zlib.h>

#include "data/batcher.hpp"
#include "data/shard_format.hpp"
#include "data/utf8.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

using starling::testing::TemporaryDirectory;
using testing::test_hash;
using testing::write_file;

/// Returns a text in which the three preceding characters determine each character's place.
std::string counted(std::size_t length) {
    std::string text;
    for (std::size_t i = 0; text.size() < length; ++i) text += std::to_string(i) + ' ';
    text.resize(length);
    return text;
}

class Texts : public ::testing::Test {
protected:
    std::string write(const std::string& content) {
        write_file(directory_.path() / "text.txt", content);
        return "text:" + (directory_.path() / "text.txt").string();
    }

    Dataset load(const std::string& content, const std::string& options) {
        auto dataset = load_dataset(write(content) + options);
        EXPECT_TRUE(dataset.has_value()) << dataset.error().message;
        return *dataset;
    }

    void expect_usage(const std::string& spec, const std::string& part) {
        const auto dataset = load_dataset(spec);
        ASSERT_FALSE(dataset.has_value());
        EXPECT_EQ(to_string(dataset.error().code), to_string(FaultCode::Usage));
        EXPECT_NE(dataset.error().message.find(part), std::string::npos) << dataset.error().message;
        EXPECT_EQ(dataset.error().message.find('\n'), std::string::npos);
    }

    TemporaryDirectory directory_;
};

TEST_F(Texts, WhatEditorsPutIntoATextIsNotLearnedAndIsSaid) {
    const auto dataset = load(
        "\xef\xbb\xbf"
        "ab\r\nab\r\nab\nab\rb",
        "?context=2&split=0.5"
    );
    EXPECT_EQ(dataset.vocabulary, "\n\rab") << "a CR alone is a character";
    EXPECT_EQ(dataset.train_tokens.size() + dataset.test_tokens.size(), 13U);
    ASSERT_EQ(dataset.notes.size(), 2U);
    EXPECT_NE(dataset.notes[0].find("byte order mark"), std::string::npos);
    EXPECT_NE(dataset.notes[1].find("2 line ends of CR LF"), std::string::npos);
    EXPECT_TRUE(load(counted(100), "?context=2").notes.empty());
    expect_usage(write(std::string("abcabcabc\0abcabc", 16)), "not a text at byte 9");
}

TEST_F(Texts, APipeOrADirectoryIsRefusedAtOnce) {
    const auto pipe = directory_.path() / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    expect_usage("text:" + pipe.string(), "pipe");
    expect_usage("text:" + directory_.path().string(), "is a directory");
}

TEST_F(Texts, AGzippedFileMayHaveSeveralStreamsAndZerosBehindButNothingElse) {
    const auto path = directory_.path() / "text.txt.gz";
    const auto zipped = [&path](const std::string& content) {
        gzFile file = gzopen(path.c_str(), "wb");
        EXPECT_EQ(
            gzwrite(file, content.data(), static_cast<unsigned>(content.size())),
            static_cast<int>(content.size())
        );
        EXPECT_EQ(gzclose(file), Z_OK);
        std::ifstream in(path, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(in), {});
    };
    const auto first = zipped(counted(300'000));
    const auto second = zipped("the end.");
    const auto spec = "text:" + path.string() + "?context=2";
    write_file(path, first + std::string(7, '\0') + second + std::string(500'000, '\0'));
    const auto both = load_dataset(spec);
    ASSERT_TRUE(both.has_value()) << both.error().message;
    EXPECT_EQ(both->train_tokens.size() + both->test_tokens.size(), 300'008U);
    for (const std::string garbage : {"x", "garbage that follows", "\x1f"}) {
        write_file(path, first + garbage);
        const auto read = load_dataset(spec);
        ASSERT_TRUE(read.has_value()) << garbage;
        EXPECT_EQ(read->train_tokens.size() + read->test_tokens.size(), 300'000U);
    }
    write_file(path, first + "\x1f\x8b");
    EXPECT_EQ(load_dataset(spec).error().code, FaultCode::Truncated) << "a stream that is torn";
}

TEST_F(Texts, CharactersAreNumberedInAscendingOrderAndSplitInTheTextsOrder) {
    const auto dataset = load(
        "caf\xc3\xa9 \xe2\x82\xac"
        "aaaaaaaaaaaaab",
        "?context=2&split=0.5"
    );
    EXPECT_EQ(dataset.vocabulary, " abcf\xc3\xa9\xe2\x82\xac");
    EXPECT_EQ(dataset.classes, 7U);
    EXPECT_EQ(dataset.shape, (std::vector<std::uint32_t>{2}));
    EXPECT_EQ(dataset.count(Split::Train), 10U);
    EXPECT_EQ(dataset.count(Split::Test), 10U);
    EXPECT_EQ(dataset.train_tokens, (std::vector<std::uint16_t>{3, 1, 4, 5, 0, 6, 1, 1, 1, 1}));
    EXPECT_EQ(dataset.test_tokens.back(), 2);
}

TEST_F(Texts, AGzippedFileIsTheSameText) {
    const auto plain = load(counted(5000), "?context=8");
    const auto path = directory_.path() / "text.txt.gz";
    const std::string content = counted(5000);
    gzFile file = gzopen(path.c_str(), "wb");
    ASSERT_EQ(gzwrite(file, content.data(), 5000), 5000);
    ASSERT_EQ(gzclose(file), Z_OK);
    const auto packed = load_dataset("text:" + path.string() + "?context=8");
    ASSERT_TRUE(packed.has_value()) << packed.error().message;
    EXPECT_EQ(packed->train_tokens, plain.train_tokens);
    EXPECT_EQ(packed->test_tokens, plain.test_tokens);
}

TEST_F(Texts, WrongTextsAndSpecsAreExplained) {
    expect_usage(write(""), "it is empty");
    expect_usage(write(counted(600)), "60 to test on; both want at least 65");
    expect_usage(write(counted(600)) + "?context=60&split=0.05", "30 characters to train on");
    expect_usage(write(std::string(600, 'x')) + "?context=8", "one character");
    expect_usage(write(counted(600) + "\xff"), "not UTF-8 at byte 600");
    expect_usage(write(counted(600)) + "?size=3", "'size'");
    expect_usage(write(counted(600)) + "?context=0", "context=0");
    expect_usage(write(counted(600)) + "?split=1", "split=1");
    expect_usage("text", "write text:FILE");
    std::string all;
    for (char32_t point = 1; point < 0x11000; ++point) {
        if (point < 0xd800 || point >= 0xe000) append_utf8(all, point);
    }
    expect_usage(write(all), "more than 65536 distinct");
    const auto missing = load_dataset("text:/nonexistent/file");
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, FaultCode::NotFound);
}

TEST_F(Texts, ShardsAreTheTextInOrderWhateverTheContext) {
    const auto dataset = load(counted(20000), "?context=16");
    const auto sharded = shard_text(dataset, 1000, {}, test_hash);
    ASSERT_TRUE(sharded.has_value());
    std::vector<std::uint16_t> train;
    std::vector<std::uint16_t> test;
    for (std::size_t i = 0; i < sharded->shards.size(); ++i) {
        const auto& info = sharded->manifest.shards[i];
        EXPECT_EQ(info.id.bytes, test_hash(sharded->shards[i]));
        const ShardStore store(sharded->manifest, test_hash);
        const auto view = store.view(sharded->shards[i]);
        EXPECT_EQ(view.samples, (view.tokens() - 1) / 16);
        EXPECT_EQ(view.samples, info.samples);
        auto& tokens = info.split == Split::Train ? train : test;
        for (std::size_t t = 0; t < view.tokens(); ++t) tokens.push_back(view.token(t));
    }
    EXPECT_EQ(train, dataset.train_tokens);
    EXPECT_EQ(test, dataset.test_tokens);
    EXPECT_EQ(sharded->manifest.shards.size(), 18U + 1U);
    const auto other = shard_text(load(counted(20000), "?context=40"), 1000, {}, test_hash);
    ASSERT_EQ(other->shards.size(), sharded->shards.size());
    EXPECT_EQ(other->shards, sharded->shards);
}

TEST_F(Texts, EqualSharesGoRoundAndOtherPartitionsHaveNoLabelsToGoBy) {
    const auto dataset = load(counted(20000), "?context=16");
    const auto sharded = shard_text(dataset, 1000, *Partition::parse("iid?owners=3"), test_hash);
    ASSERT_TRUE(sharded.has_value()) << sharded.error().message;
    std::map<std::uint32_t, int> shards;
    for (const auto& info : sharded->manifest.shards) {
        if (info.split == Split::Train) ++shards[info.partition];
    }
    EXPECT_EQ(shards, (std::map<std::uint32_t, int>{{0, 6}, {1, 6}, {2, 6}}));
    const auto labels = Partition::parse("labels?owners=3");
    EXPECT_EQ(shard_text(dataset, 1000, *labels, test_hash).error().code, FaultCode::Usage);
    const auto many = Partition::parse("iid?owners=30");
    EXPECT_EQ(shard_text(dataset, 1000, *many, test_hash).error().code, FaultCode::Usage);
}

TokenRecipe& tokens_of(Manifest& manifest) {
    return std::get<TokenRecipe>(manifest.recipe);
}

TEST_F(Texts, AManifestOfATextSurvivesItsEncodingAndLiesAreRefused) {
    const auto sharded = shard_text(
        load(counted(20000), "?context=16"), 1000, *Partition::parse("iid?owners=3"), test_hash
    );
    const auto bytes = encode_manifest(sharded->manifest);
    EXPECT_EQ(bytes[5], std::byte{2}) << "the version";
    const auto decoded = decode_manifest(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_EQ(encode_manifest(*decoded), bytes);
    EXPECT_EQ(decoded->recipe, sharded->manifest.recipe);
    EXPECT_EQ(decoded->partition, "iid?owners=3&seed=1");
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_FALSE(decode_manifest(ByteView(bytes).first(length)).has_value()) << length;
    }
    const auto refused = [&](const auto& spoil) {
        auto manifest = sharded->manifest;
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

TEST_F(Texts, AVersionTwoWithoutAnythingNewIsRefused) {
    auto bytes =
        encode_manifest(shard_dataset(testing::numbered_dataset(100, 20), 10, test_hash).manifest);
    EXPECT_EQ(bytes[5], std::byte{1})
        << "samples without partitions make the bytes they always made";
    // The extension follows name, shape, classes, mean and deviation.
    const std::size_t at = 1 + 4 + 2 + (4 + 8) + (4 + 12) + 4 + 8;
    bytes[5] = std::byte{2};
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), 12, std::byte{0});
    EXPECT_FALSE(decode_manifest(bytes).has_value());
}

TEST_F(Texts, AStoreRefusesTokensBeyondTheVocabulary) {
    auto sharded = *shard_text(load(counted(20000), "?context=16"), 1000, {}, test_hash);
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

class Windows : public Texts {
protected:
    static constexpr std::size_t kContext = 16;

    Windows() {
        dataset_ = load(counted(20000), "?context=16");
        sharded_ = *shard_text(dataset_, 1000, {}, test_hash);
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
        Dataset dataset;
        dataset.name = "places";
        dataset.shape = {kContext};
        const std::size_t ring = windows * kContext + rest;
        for (std::size_t i = 0; i <= ring; ++i) {
            append_utf8(dataset.vocabulary, static_cast<char32_t>(0x4e00 + i));
            dataset.train_tokens.push_back(static_cast<std::uint16_t>(i));
        }
        dataset.classes = static_cast<std::uint32_t>(ring + 1);
        dataset.test_tokens.assign(2 * kContext, 0);
        return *shard_text(dataset, ring + 1, {}, test_hash);
    }

    std::vector<float> take(Batcher& batcher, std::size_t count) const {
        std::vector<float> values(count * kContext);
        std::vector<std::int32_t> labels(count * kContext);
        EXPECT_TRUE(batcher.next({values, labels}));
        return values;
    }

    Dataset dataset_;
    Sharded sharded_;
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
    const auto& text = dataset_.test_tokens;
    const std::size_t covered = (text.size() - 1) / kContext * kContext;
    ASSERT_EQ(inputs.size(), covered);
    EXPECT_TRUE(std::equal(inputs.begin(), inputs.end(), text.begin()));
    EXPECT_TRUE(std::equal(targets.begin(), targets.end(), text.begin() + 1));
}

TEST_F(Texts, AnotherVocabularyRenumbersOrNamesTheCharacterThatIsNotInIt) {
    auto dataset = load(counted(600), "?context=8");
    const auto before = dataset.train_tokens;
    const std::string larger = " #0123456789";
    ASSERT_TRUE(adopt_vocabulary(dataset, larger).has_value());
    EXPECT_EQ(dataset.classes, 12U);
    for (std::size_t i = 0; i < before.size(); ++i) {
        EXPECT_EQ(dataset.train_tokens[i], before[i] == 0 ? 0 : before[i] + 1);
    }
    const auto refused = adopt_vocabulary(dataset, "0123456789");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, FaultCode::Usage);
}

}  // namespace
}  // namespace starling::data
