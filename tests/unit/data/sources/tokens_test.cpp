// Goal: texts become the tokens that their tokenizer says, cut where the split says, and come back as
// they were. Method: small files written by the test, decoded again; tinyshakespeare has the numbers of nanoGPT's prepare.py.

#include <algorithm>
#include <gtest/gtest.h>

#include "data/shard_view.hpp"
#include "data/token_source.hpp"
#include "data/tokens/text_encoder.hpp"
#include "tests/unit/data/support/datasets.hpp"
#include "tests/unit/data/support/shared_data.hpp"

namespace starling::data {
namespace {

using testing::shared_data;

TokenSourcePointer open(const std::string& spec, const KnownTokens* known = nullptr) {
    auto source = open_tokens(*Spec::parse(spec), {}, known);
    EXPECT_TRUE(source.has_value()) << (source ? "" : source.error().message);
    return source ? std::move(*source) : nullptr;
}

Fault refusal(const std::string& spec, const KnownTokens* known = nullptr) {
    const auto source = open_tokens(*Spec::parse(spec), {}, known);
    EXPECT_TRUE(source.has_error()) << spec;
    return source ? Fault{} : source.error();
}

std::vector<std::uint16_t> tokens_of(const TokenSource& source, Split split) {
    std::vector<std::uint16_t> tokens(static_cast<std::size_t>(source.count(split)));
    EXPECT_TRUE(source.read(split, 0, tokens).has_value());
    return tokens;
}

std::string text_in(const TokenSource& source, Split split) {
    return text_of(source.recipe(), tokens_of(source, split));
}

struct Cut {
    explicit Cut(
        const TokenSource& source,
        const Partition& partition = {},
        const std::optional<ShardCounts>& counts = std::nullopt
    ) {
        auto made = cut_tokens(source, partition, counts, testing::test_hash, [&](CutShard cut) {
            shards.push_back(std::move(cut.bytes));
            return Result<void>();
        });
        EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
        if (made) manifest = std::move(*made);
    }

    Manifest manifest;
    std::vector<Bytes> shards;
};

class Tokens : public ::testing::Test {
protected:
    void put(const std::string& name, std::string_view bytes) const {
        const auto path = folder_.path() / name;
        std::filesystem::create_directories(path.parent_path());
        testing::write_file(path, bytes);
    }

    [[nodiscard]] std::string path(const std::string& name) const {
        return (folder_.path() / name).string();
    }

private:
    starling::testing::TemporaryDirectory folder_;
};

std::string verse(int lines) {
    std::string text;
    for (int i = 0; i < lines; ++i) {
        text += "line " + std::to_string(i * 7919 % 1000) + " of the song, and the song goes on\n";
    }
    return text;
}

TEST_F(Tokens, BytesAreTheFilesOwn) {
    std::string bytes("\xef\xbb\xbf\r\n\0\xff", 7);
    for (int i = 0; i < 200; ++i) bytes += static_cast<char>(i);
    put("any.bin", bytes);
    const auto source = open("text:" + path("any.bin") + "?tokens=bytes&context=8&split=0.5");
    EXPECT_EQ(source->tokens(), 257U);
    EXPECT_EQ(source->count(Split::Train), bytes.size() / 2);
    EXPECT_EQ(text_in(*source, Split::Train) + text_in(*source, Split::Test), bytes);
    EXPECT_EQ(manifest_version(Cut(*source).manifest), kManifestVersionSchema);
}

TEST_F(Tokens, LearnedTokensGiveTheTextBack) {
    const auto text = verse(300);
    put("song.txt", text);
    const auto source = open("text:" + path("song.txt") + "?tokens=bpe:300&context=8");
    EXPECT_EQ(source->tokens(), 300U);
    EXPECT_EQ(source->recipe().tokenizer, Tokenizer::Bpe);
    EXPECT_LT(source->count(Split::Train), text.size() / 2) << "tokens are longer than bytes";
    const auto border = static_cast<std::size_t>(0.9 * static_cast<double>(text.size()));
    EXPECT_EQ(text_in(*source, Split::Train), text.substr(0, border));
    EXPECT_EQ(text_in(*source, Split::Test), text.substr(border));
    const auto again = open("text:" + path("song.txt") + "?tokens=bpe:300&context=8");
    EXPECT_EQ(again->recipe(), source->recipe()) << "every machine learns the same";
}

TEST_F(Tokens, AShareOfCharactersIsCutBetweenCharacters) {
    std::string text;
    for (int i = 0; i < 100; ++i) text += "\xc3\xa9\xe2\x82\xac";  // two characters, five bytes
    put("wide.txt", text);
    const auto source = open("text:" + path("wide.txt") + "?tokens=bpe:300&context=4&split=0.5075");
    EXPECT_EQ(text_in(*source, Split::Train), text.substr(0, 5 * 50 + 2));
    EXPECT_EQ(text_in(*source, Split::Test), text.substr(5 * 50 + 2));
}

TEST_F(Tokens, AFolderIsAListOfDocumentsWithAMarkBetween) {
    put("docs/b.txt", "bbbbbbbb");
    put("docs/a.txt", "aaaaaaaa");
    put("docs/c/d.txt", "dddddddd");
    put("docs/empty.txt", "");
    put("docs/.hidden", "x");
    for (const std::string tokens : {"bytes", "chars"}) {
        const auto source = open("text:" + path("docs") + "?context=2&split=0.7&tokens=" + tokens);
        auto all = tokens_of(*source, Split::Train);
        const auto test = tokens_of(*source, Split::Test);
        EXPECT_EQ(all.size(), 18U) << "sixteen characters, and two marks";
        all.insert(all.end(), test.begin(), test.end());
        const std::uint16_t mark = tokens == "bytes" ? 256 : 0;
        ASSERT_EQ(all.size(), 26U);
        EXPECT_EQ(all[8], mark);
        EXPECT_EQ(all[17], mark);
        EXPECT_EQ(std::count(all.begin(), all.end(), mark), 2);
        EXPECT_TRUE(check_manifest(Cut(*source).manifest).has_value());
    }
}

TEST_F(Tokens, AFieldOfJsonLinesIsAListOfDocuments) {
    std::string lines;
    for (int i = 0; i < 300; ++i) lines += "{\"id\": 1, \"text\": \"one \\u00e9 document\"}\n";
    put("t.jsonl", lines + "{\"id\": 2}\n");
    const auto source = open("jsonl:" + path("t.jsonl") + "?text=text&tokens=bytes&context=8");
    EXPECT_EQ(source->count(Split::Train) + source->count(Split::Test), 300U * 15 + 299);
    EXPECT_EQ(source->notes().skipped, 1U);
    EXPECT_NE(source->notes().first[0].where.find("line 301"), std::string::npos);
    put("bad.jsonl", "{\"text\": \"x\"}\n{\"id\": 2}\n");
    const auto refused = refusal("jsonl:" + path("bad.jsonl") + "?text=text");
    EXPECT_NE(refused.message.find("line 2"), std::string::npos) << refused.message;
}

TEST_F(Tokens, CharactersHaveTheManifestOfEarlierReleases) {
    put("song.txt", "\xef\xbb\xbfone\r\n" + verse(400) + "\xc3\xa9\r");
    const auto source = open("text:" + path("song.txt") + "?context=16");
    EXPECT_EQ(manifest_version(Cut(*source).manifest), kManifestVersionText);
}

TEST_F(Tokens, LineEndsAndLatin1AreReadAsTheSpecSays) {
    std::string text;
    for (int i = 0; i < 50; ++i) text += "caf\xe9\r\n";
    put("old.txt", text);
    const auto spec = "text:" + path("old.txt") + "?context=2&split=0.5&encoding=latin1";
    EXPECT_EQ(text_in(*open(spec), Split::Train).substr(0, 6), "caf\xc3\xa9\n");
    const auto kept = open(spec + "&newlines=keep");
    EXPECT_EQ(text_in(*kept, Split::Train).substr(0, 7), "caf\xc3\xa9\r\n");
    EXPECT_TRUE(kept->notes().lines.empty());
    EXPECT_NE(
        refusal("text:" + path("old.txt")).message.find("encoding=latin1"), std::string::npos
    );
    EXPECT_EQ(refusal(spec + "&newlines=cr").code, FaultCode::Usage);
}

TEST_F(Tokens, AnotherTextIsEncodedAsTheSwarmsOwn) {
    put("ours.txt", verse(300));
    put("theirs.txt", verse(200) + "quite another ending of it\n");
    const auto ours = open("text:" + path("ours.txt") + "?tokens=bpe:300&context=8");
    const KnownTokens known{ours->recipe(), ours->tokens()};
    const auto theirs = open("text:" + path("theirs.txt") + "?context=99", &known);
    EXPECT_EQ(theirs->recipe(), ours->recipe()) << "the model's context, too";
    EXPECT_TRUE(text_in(*theirs, Split::Test).ends_with("another ending of it\n"));
    const auto refused = refusal("text:" + path("theirs.txt") + "?tokens=bytes", &known);
    EXPECT_EQ(refused.code, FaultCode::Usage);
    const KnownTokens numbers{{Tokenizer::Numbers, {}, 8}, 300};
    EXPECT_TRUE(open_tokens(*Spec::parse("text:" + path("ours.txt")), {}, &numbers).has_error());
    const KnownTokens damaged{{Tokenizer::Bpe, "no merges", 8}, 300};
    EXPECT_TRUE(open_tokens(*Spec::parse("text:" + path("ours.txt")), {}, &damaged).has_error());
}

TEST_F(Tokens, RunsAreDealtAsTheManifestSays) {
    put("song.txt", verse(3000));
    const auto source = open("text:" + path("song.txt") + "?tokens=bytes&context=32");
    const Cut cut(*source, *Partition::parse("iid?owners=3"));
    std::uint64_t tokens = 0;
    for (std::size_t i = 0; i < cut.shards.size(); ++i) {
        const auto view = open_shard(cut.shards[i], cut.manifest.shards[i], cut.manifest);
        ASSERT_TRUE(view.has_value()) << view.error().message;
        tokens += view->tokens();
    }
    EXPECT_EQ(tokens, source->count(Split::Train) + source->count(Split::Test));
    EXPECT_GT(cut.shards.size(), 60U);
    const Cut again(*source, *Partition::parse("iid?owners=3"), shard_counts(cut.manifest));
    EXPECT_EQ(again.shards, cut.shards) << "a joiner cuts the same ones";
}

TEST_F(Tokens, FilesOfTokensAreReadWhereTheyLie) {
    std::string train;
    std::string val;
    for (int i = 0; i < 5000; ++i) {
        (i < 4000 ? train : val) += std::string{static_cast<char>(i % 200), static_cast<char>(1)};
    }
    put("bins/train.bin", train);
    put("bins/val.bin", val);
    put("bins/notes.txt", "x");
    const auto source = open("bin:" + path("bins") + "?context=16");
    EXPECT_EQ(source->count(Split::Train), 4000U);
    EXPECT_EQ(source->count(Split::Test), 1000U);
    EXPECT_EQ(source->tokens(), 256U + 200);
    EXPECT_EQ(tokens_of(*source, Split::Train)[3], 259U);
    EXPECT_EQ(source->notes().lines.size(), 1U) << "the vocabulary was guessed";
    EXPECT_EQ(open("bin:" + path("bins") + "?vocab=50257")->tokens(), 50257U);
    EXPECT_EQ(refusal("bin:" + path("bins") + "?vocab=300").code, FaultCode::Usage);
    put("one/train.bin", train);
    EXPECT_NE(refusal("bin:" + path("one")).message.find("val.bin"), std::string::npos);
    EXPECT_EQ(manifest_version(Cut(*source).manifest), kManifestVersionSchema);
}

TEST_F(Tokens, WhatIsNoTextIsNamedWithByteLineAndRemedy) {
    put("latin.txt",
        "one\ntwo\nthr\xe9"
        "e\n");
    for (const std::string tokens : {"chars", "bpe:300"}) {
        const auto refused = refusal("text:" + path("latin.txt") + "?tokens=" + tokens);
        EXPECT_EQ(refused.code, FaultCode::Usage);
        for (const auto* part : {"latin.txt", "byte 11", "line 3", "tokens=bytes"}) {
            EXPECT_NE(refused.message.find(part), std::string::npos) << refused.message;
        }
    }
    // The damage lies behind the first piece that is read.
    put("late.txt", std::string(70000, 'a') + "\n\xe2\x82");
    const auto late = refusal("text:" + path("late.txt") + "?tokens=bpe:300");
    EXPECT_NE(late.message.find("byte 70001, in line 2"), std::string::npos) << late.message;
    put("empty.txt", "");
    EXPECT_EQ(refusal("text:" + path("empty.txt") + "?tokens=bytes").code, FaultCode::Usage);
    EXPECT_EQ(refusal("text:" + path("latin.txt") + "?tokens=words").code, FaultCode::Usage);
    EXPECT_EQ(refusal("text:" + path("none.txt") + "?tokens=bytes").code, FaultCode::NotFound);
}

TEST_F(Tokens, StateOfTheUnionIsReadToTheLastByte) {
    const auto file = shared_data("sotu/sotu.txt.gz");
    STARLING_NEEDS_SHARED(file);
    for (const std::string tokens : {"chars", "bytes", "bpe:1000"}) {
        const auto source = open("text:" + file.string() + "?tokens=" + tokens);
        // Its characters are ASCII, as its README's count of bytes shows.
        const auto all = text_in(*source, Split::Train) + text_in(*source, Split::Test);
        EXPECT_EQ(all.size(), 10'761'623U) << tokens;
        auto stream = *FileStream::open(file);
        std::string content(all.size() + 1, '\0');
        const auto got =
            stream.read({reinterpret_cast<std::uint8_t*>(content.data()), content.size()});
        content.resize(*got);
        EXPECT_TRUE(all == content) << tokens;
        EXPECT_TRUE(source->notes().lines.empty());
    }
}

TEST_F(Tokens, TinyShakespeareHasTheKnownCounts) {
    const auto text = shared_data("tinyshakespeare/input.txt.gz");
    const auto merges = shared_data("gpt2-bpe");
    STARLING_NEEDS_SHARED(text);
    STARLING_NEEDS_SHARED(merges);
    const auto source = open("text:" + text.string() + "?tokens=bpe:" + merges.string());
    EXPECT_EQ(source->tokens(), 50257U);
    EXPECT_EQ(source->count(Split::Train), 301966U);
    EXPECT_EQ(source->count(Split::Test), 36059U);
}

}  // namespace
}  // namespace starling::data
