// Goal: learned merges are those of the textbook algorithm, whatever the machine and the pieces.
// Method: a twin that counts all pairs anew for each merge, ties by hand, and real texts.

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/rng.hpp"
#include "data/tokens/bpe.hpp"
#include "data/tokens/pretokenizer.hpp"

namespace starling::data {
namespace {

Bpe learn(std::string_view text, std::uint32_t tokens) {
    MemoryStream stream(text);
    auto bpe = Bpe::learn(stream, tokens);
    EXPECT_TRUE(bpe.has_value()) << bpe.error().message;
    return *bpe;
}

std::vector<std::string> learned(const Bpe& bpe) {
    std::vector<std::string> tokens;
    for (auto id = static_cast<Bpe::Id>(kByteTokens); id < bpe.end_mark(); ++id) {
        tokens.emplace_back(bpe.bytes_of(id));
    }
    return tokens;
}

/// Counts all pairs of all words anew for each merge.
std::vector<std::string> naive(std::string_view text, std::size_t merges) {
    std::map<std::vector<std::string>, std::uint64_t> words;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = word_end(text, at);
        std::vector<std::string> word;
        for (; at < end; ++at) word.emplace_back(1, text[at]);
        ++words[word];
    }
    std::set<std::string> refused;
    std::vector<std::string> tokens;
    while (tokens.size() < merges) {
        std::map<std::pair<std::string, std::string>, std::uint64_t> pairs;
        for (const auto& [word, count] : words) {
            for (std::size_t i = 0; i + 1 < word.size(); ++i)
                pairs[{word[i], word[i + 1]}] += count;
        }
        const std::pair<const std::pair<std::string, std::string>, std::uint64_t>* best = nullptr;
        for (const auto& pair : pairs) {
            if (refused.contains(pair.first.first + '|' + pair.first.second)) continue;
            const auto& [left, right] = pair.first;
            const bool known =
                std::find(tokens.begin(), tokens.end(), left + right) != tokens.end();
            if (!known && (best == nullptr || pair.second > best->second)) best = &pair;
        }
        if (best == nullptr || best->second < 2) break;
        const auto [left, right] = best->first;
        tokens.push_back(left + right);
        std::map<std::vector<std::string>, std::uint64_t> next;
        for (const auto& [word, count] : words) {
            std::vector<std::string> merged;
            for (std::size_t i = 0; i < word.size(); ++i) {
                const bool pair = i + 1 < word.size() && word[i] == left && word[i + 1] == right;
                merged.push_back(pair ? left + right : word[i]);
                if (pair) ++i;
            }
            next[merged] += count;
        }
        words = next;
    }
    return tokens;
}

std::string babble(std::uint64_t seed, std::size_t words, std::uint64_t letters) {
    Rng rng(seed);
    std::string text;
    for (std::size_t i = 0; i < words; ++i) {
        for (auto left = 1 + rng.below(6); left > 0; --left) {
            text.push_back(static_cast<char>('a' + rng.below(letters)));
        }
        text.push_back(rng.chance(0.1) ? '\n' : ' ');
    }
    return text;
}

TEST(LearnedBpe, MergesAreThoseOfTheTextbook) {
    for (const std::uint64_t letters : {1U, 2U, 4U, 26U}) {
        const auto text = babble(letters, 800, letters);
        EXPECT_EQ(learned(learn(text, 400)), naive(text, 400 - 257)) << letters << " letters";
    }
}

TEST(LearnedBpe, OfEqualPairsTheSmallerBytesComeFirst) {
    EXPECT_EQ(learned(learn("zy\nzy\nab\nab", 300)), (std::vector<std::string>{"ab", "zy"}));
    EXPECT_EQ(learned(learn("aaz\naaz", 300)), (std::vector<std::string>{"aa", "aaz"}));
}

TEST(LearnedBpe, ATextWithFewPairsGivesFewerTokens) {
    EXPECT_EQ(learn("", 300).tokens(), 257U);
    EXPECT_EQ(learn("abcdefg", 300).tokens(), 257U)
        << "what stands there once is not worth a token";
    EXPECT_EQ(learn("ab ab ab", 300).tokens(), 259U);
}

TEST(LearnedBpe, ALongTextIsReadInPiecesAndComesBack) {
    auto text = babble(9, 200000, 12);
    const auto bpe = learn(text, 1000);
    EXPECT_EQ(bpe.tokens(), 1000U);
    const auto ids = bpe.encode(text);
    EXPECT_LT(ids.size(), text.size() / 2);
    EXPECT_EQ(*bpe.decode(ids), text);
    EXPECT_EQ(learn(text, 1000).serialize(), bpe.serialize());
}

TEST(LearnedBpe, MoreDistinctWordsThanTheLimitLeaveTheFrequentOnes) {
    std::string text;
    for (int i = 0; i < 200000; ++i) {
        text += std::to_string(i * 7919) + "k";
        if (i % 3 == 0) text += " qqvvqq";
    }
    const auto tokens = learned(learn(text, 600));
    EXPECT_NE(std::find(tokens.begin(), tokens.end(), " qqvvqq"), tokens.end());
}

TEST(LearnedBpe, SizesOutOfRangeAreRefused) {
    for (const std::uint32_t tokens : {0U, 299U, 32769U}) {
        MemoryStream stream("text");
        const auto bpe = Bpe::learn(stream, tokens);
        ASSERT_FALSE(bpe.has_value());
        EXPECT_EQ(bpe.error().code, FaultCode::Usage);
    }
}

}  // namespace
}  // namespace starling::data
