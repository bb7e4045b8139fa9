// Goal: tokens are those of GPT-2, every text comes back byte for byte, and a stranger's tokenizer
// does no harm. Method: a vocabulary of a few lines, a twin that repeats the original's search for the
// best pair, bytes changed one by one, and the real vocabulary where it is present.

#include "data/tokens/bpe.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>

#include "base/rng.hpp"
#include "data/tokens/pretokenizer.hpp"
#include "tests/unit/data/support/datasets.hpp"
#include "tests/unit/data/support/shared_data.hpp"

namespace starling::data {
namespace {

using testing::shared_data;
using testing::write_file;
using Ids = std::vector<Bpe::Id>;

constexpr std::string_view kMerges =
    "#version: 0.2\n"
    "Ġ t\n"
    "h e\n"
    "Ġt he\n"
    "a a\n"
    "aa a\n";

Bpe small() {
    auto bpe = Bpe::from_gpt2(kMerges);
    EXPECT_TRUE(bpe.has_value()) << bpe.error().message;
    return *bpe;
}

std::string refusal(const Result<Bpe>& bpe) {
    return bpe.has_value() ? "accepted" : bpe.error().message;
}

/// GPT-2's own way: find the best pair of the whole word, merge it everywhere, begin again.
Ids naive(const Bpe& bpe, std::string_view text) {
    Ids all;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = word_end(text, at);
        Ids word;
        for (; at < end; ++at) word.push_back(Bpe::id_of_byte(static_cast<std::uint8_t>(text[at])));
        while (true) {
            auto best = std::numeric_limits<std::uint32_t>::max();
            for (std::size_t i = 0; i + 1 < word.size(); ++i) {
                best = std::min(best, bpe.rank(word[i], word[i + 1]).value_or(best));
            }
            if (best == std::numeric_limits<std::uint32_t>::max()) break;
            Ids merged;
            for (std::size_t i = 0; i < word.size(); ++i) {
                const bool pair = i + 1 < word.size() && bpe.rank(word[i], word[i + 1]) == best;
                merged.push_back(pair ? static_cast<Bpe::Id>(kByteTokens + best) : word[i]);
                if (pair) ++i;
            }
            word = merged;
        }
        all.insert(all.end(), word.begin(), word.end());
    }
    return all;
}

std::string content_of(const std::filesystem::path& path) {
    auto stream = FileStream::open(path);
    EXPECT_TRUE(stream.has_value());
    std::string content(std::size_t{4} << 20U, '\0');
    const auto got =
        stream->read({reinterpret_cast<std::uint8_t*>(content.data()), content.size()});
    EXPECT_TRUE(got.has_value());
    content.resize(*got);
    return content;
}

TEST(Bpe, IdsAreBytesInGpt2OrderThenMergesThenTheEndMark) {
    const auto bpe = small();
    EXPECT_EQ(bpe.tokens(), 262U);
    EXPECT_EQ(bpe.end_mark(), 261U);
    EXPECT_EQ(Bpe::id_of_byte('!'), 0U);
    EXPECT_EQ(Bpe::id_of_byte('a'), 64U);
    EXPECT_EQ(Bpe::id_of_byte(' '), 220U);
    EXPECT_EQ(Bpe::id_of_byte(0), 188U);
    EXPECT_EQ(Bpe::id_of_byte(0xad), 255U);
    EXPECT_EQ(bpe.bytes_of(258), " the");
    EXPECT_EQ(bpe.bytes_of(261), "<|endoftext|>");
    EXPECT_EQ(bpe.encode(" the the"), (Ids{258, 258}));
    EXPECT_EQ(bpe.encode("aaaaa"), (Ids{259, 260})) << "the lower rank merges everywhere first";
}

TEST(Bpe, EveryTextComesBackByteForByte) {
    const auto bpe = small();
    Rng rng(3);
    for (int round = 0; round < 300; ++round) {
        std::string text;
        for (auto left = rng.below(200); left > 0; --left) {
            const bool common = rng.chance(0.7);
            text.push_back(common ? "the a\n'"[rng.below(7)] : static_cast<char>(rng.below(256)));
        }
        const auto ids = bpe.encode(text);
        EXPECT_EQ(*bpe.decode(ids), text);
        EXPECT_EQ(ids, naive(bpe, text));
    }
    EXPECT_TRUE(bpe.encode("").empty());
    EXPECT_EQ(*bpe.decode(bpe.encode("<|endoftext|>")), "<|endoftext|>");
    EXPECT_GT(bpe.encode("<|endoftext|>").size(), 1U) << "a text cannot write the end mark";
}

TEST(Bpe, PiecesOfATextGiveTheTokensOfTheWhole) {
    const auto bpe = small();
    std::string text;
    for (int i = 0; i < 300; ++i) text += i % 7 == 0 ? "  naïve 日本 the's\n\n" : " the aaa've";
    const auto whole = bpe.encode(text);
    Rng rng(4);
    for (const std::uint64_t longest : {1U, 3U, 50U, 3000U}) {
        BpeEncoder encoder(bpe);
        for (int repeat = 0; repeat < 2; ++repeat) {
            Ids ids;
            for (std::size_t at = 0; at < text.size();) {
                const auto size = static_cast<std::size_t>(1 + rng.below(longest));
                encoder.feed(std::string_view(text).substr(at, size), ids);
                at += size;
            }
            encoder.finish(ids);
            EXPECT_EQ(ids, whole) << "pieces of up to " << longest;
        }
    }
}

TEST(Bpe, AnIdThatDoesNotExistIsNotDecoded) {
    const auto text = small().decode(Ids{258, 262});
    ASSERT_FALSE(text.has_value());
    EXPECT_EQ(text.error().code, FaultCode::BadValue);
    EXPECT_NE(text.error().message.find("token 262"), std::string::npos);
}

TEST(Bpe, WrongLinesAreRefusedWithTheirNumber) {
    EXPECT_NE(refusal(Bpe::from_gpt2("a b\nc\n")).find("line 2"), std::string::npos);
    EXPECT_NE(refusal(Bpe::from_gpt2("a b\na b c\n")).find("line 2"), std::string::npos);
    EXPECT_NE(refusal(Bpe::from_gpt2("a b\nab cd\n")).find("no line before"), std::string::npos);
    EXPECT_NE(refusal(Bpe::from_gpt2("a b\nb c\nab c\na bc\n")).find("line 4"), std::string::npos);
    EXPECT_NE(refusal(Bpe::from_gpt2("a 日\n")).find("stands for no byte"), std::string::npos);
    EXPECT_NE(refusal(Bpe::from_gpt2("a \xff\n")).find("stands for no byte"), std::string::npos);
    EXPECT_NE(refusal(Bpe::from_gpt2("a \xc2\xad\n")).find("stands for no byte"), std::string::npos)
        << "U+00AD stands for nothing: GPT-2 shows byte 173 as U+0143";
    std::string doubling = "a a\n";
    for (std::string token = "aa"; token.size() < 2000; token += token) {
        doubling += token + " " + token + "\n";
    }
    EXPECT_NE(refusal(Bpe::from_gpt2(doubling)).find("over 1 KiB"), std::string::npos);
    EXPECT_EQ(Bpe::from_gpt2("a b\r\nab c\r\n")->tokens(), 259U);
}

TEST(Bpe, AnEncoderFileMustAgree) {
    std::string encoder = "{";
    const auto bpe = *Bpe::from_gpt2("a b\n");
    // Byte tokens as GPT-2 shows them: through the characters that it puts for them.
    unsigned substitute = 0x100;
    for (Bpe::Id id = 0; id < 256; ++id) {
        const auto byte = static_cast<unsigned char>(bpe.bytes_of(id)[0]);
        std::array<char, 24> field{};
        const unsigned point = id < 188 ? byte : substitute++;
        std::snprintf(field.data(), field.size(), "\"\\u%04x\": %u, ", point, id);
        encoder += field.data();
    }
    const auto with = [&](const std::string& rest) {
        return refusal(Bpe::from_gpt2("a b\n", encoder + rest));
    };
    EXPECT_EQ(with("\"ab\": 256, \"<|endoftext|>\": 257}"), "accepted");
    EXPECT_NE(with("\"ba\": 256, \"<|endoftext|>\": 257}").find("ba"), std::string::npos);
    EXPECT_NE(with("\"ab\": 257, \"<|endoftext|>\": 256}").find("disagree"), std::string::npos);
    EXPECT_NE(with("\"ab\": 256.5, \"<|endoftext|>\": 257}").find("disagree"), std::string::npos);
    EXPECT_NE(with("\"ab\": -1, \"<|endoftext|>\": 257}").find("disagree"), std::string::npos);
    EXPECT_NE(with("\"ab\": 256, \"ab\": 256}").find("twice"), std::string::npos);
    EXPECT_NE(with("\"ab\": 256}").find("has 257 tokens"), std::string::npos);
    EXPECT_NE(with("\"ab\": 256").find("encoder.json: not JSON"), std::string::npos);
}

TEST(Bpe, TheBlobIsCanonicalAndAStrangersBytesAreChecked) {
    const auto bpe = small();
    auto blob = bpe.serialize();
    EXPECT_EQ(blob.size(), 10U + 5 * 4);
    const auto again = Bpe::parse(blob);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->serialize(), blob);
    EXPECT_EQ(again->encode(" the"), (Ids{258}));
    for (std::size_t size = 0; size < blob.size(); ++size) {
        EXPECT_FALSE(Bpe::parse(ByteView(blob).first(size)).has_value());
    }
    for (std::size_t at = 0; at < blob.size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            auto changed = blob;
            changed[at] ^= static_cast<std::byte>(1U << bit);
            const auto parsed = Bpe::parse(changed);
            if (parsed.has_value()) {
                EXPECT_EQ(parsed->serialize(), changed);
            }
        }
    }
    blob.push_back(std::byte{0});
    EXPECT_FALSE(Bpe::parse(blob).has_value());
    EXPECT_EQ(
        refusal(Bpe::from_merges({{0, 256}})), "merge 1 names a token that does not exist yet"
    );
    EXPECT_EQ(refusal(Bpe::from_merges({{0, 1}, {0, 1}})), "merge 2 makes what is a token already");
}

TEST(Bpe, AFolderIsReadPlainOrGzipped) {
    const starling::testing::TemporaryDirectory directory;
    const auto missing = load_bpe(directory.path());
    ASSERT_FALSE(missing.has_value());
    EXPECT_NE(missing.error().message.find("no vocab.bpe"), std::string::npos);
    write_file(directory.path() / "vocab.bpe", kMerges);
    const auto bpe = load_bpe(directory.path());
    ASSERT_TRUE(bpe.has_value()) << bpe.error().message;
    EXPECT_EQ(bpe->tokens(), 262U);
    write_file(directory.path() / "encoder.json", "{}");
    EXPECT_NE(refusal(load_bpe(directory.path())).find("disagree"), std::string::npos);
}

TEST(Bpe, Gpt2VocabularyGivesTheKnownTokensOfTinyShakespeare) {
    const auto folder = shared_data("gpt2-bpe");
    const auto text_path = shared_data("tinyshakespeare") / "input.txt.gz";
    STARLING_NEEDS_SHARED(folder);
    STARLING_NEEDS_SHARED(text_path);
    const auto bpe = load_bpe(folder);
    ASSERT_TRUE(bpe.has_value()) << bpe.error().message;
    EXPECT_EQ(bpe->tokens(), 50257U);
    EXPECT_EQ(bpe->encode("Hello world"), (Ids{15496, 995}));
    EXPECT_EQ(bpe->serialize().size(), 200010U);
    const auto text = content_of(text_path);
    ASSERT_EQ(text.size(), 1115394U);
    const auto split = static_cast<std::size_t>(static_cast<double>(text.size()) * 0.9);
    const auto train = std::string_view(text).substr(0, split);
    const auto ids = bpe->encode(train);
    EXPECT_EQ(ids.size(), 301966U);
    EXPECT_EQ(*bpe->decode(ids), train);
    EXPECT_EQ(bpe->encode(std::string_view(text).substr(split)).size(), 36059U);
    EXPECT_EQ(bpe->encode(train.substr(0, 20000)), naive(*bpe, train.substr(0, 20000)));
}

}  // namespace
}  // namespace starling::data
