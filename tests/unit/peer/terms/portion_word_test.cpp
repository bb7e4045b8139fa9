// Goal: words of portions travel unchanged and have one form; what is none is refused before anything is allocated for
// it. Method: golden bytes, each byte cut or changed, and a table of lies.

#include "peer/terms/portion_word.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "gossip/codec.hpp"

namespace starling::peer {
namespace {

PortionWord example() {
    PortionWord word;
    word.round = 3;
    word.portion = 2;
    word.portions = 25;
    word.result = {1.5, 7, 9, 0.25, true};
    word.tallies = {Bytes{std::byte{1}, std::byte{2}}, Bytes{}};
    return word;
}

TEST(PortionWord, HasTheseBytes) {
    const std::uint8_t golden[] = {
        10, 0x15, 48, 0,                    // kind, version, length of the header
        3,  0,    0,  0,                    // round
        2,  0,    25, 0,                    // portion, portions
        9,  0,    0,  0, 0, 0, 0,    0,     // samples
        7,  0,    0,  0, 0, 0, 0,    0,     // correct
        0,  0,    0,  0, 0, 0, 0xf8, 0x3f,  // sum of losses
        0,  0,    0,  0, 0, 0, 0xd0, 0x3f,  // sum of absolute errors
        1,  2,    0,  0, 0, 0, 0,    0,     // has an accuracy, tallies, zeros
        2,  0,    0,  0, 1, 2,              // a tally
        0,  0,    0,  0,                    // one that was left out
    };
    const auto bytes = encode_portion_word(example());
    ASSERT_EQ(bytes.size(), sizeof golden);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        EXPECT_EQ(std::to_integer<int>(bytes[i]), golden[i]) << i;
    }
    EXPECT_TRUE(is_portion_word(bytes));
    const auto word = decode_portion_word(bytes);
    ASSERT_TRUE(word.has_value());
    EXPECT_EQ(encode_portion_word(*word), bytes);
    EXPECT_EQ(word->result.correct, 7U);
    EXPECT_EQ(word->tallies, example().tallies);
}

TEST(PortionWord, AnOlderReleaseSkipsIt) {
    const auto message = gossip::decode(encode_portion_word(example()));
    ASSERT_TRUE(message.has_value());
    EXPECT_TRUE(std::holds_alternative<gossip::Unknown>(*message));
}

TEST(PortionWord, CutOrLongerItIsNone) {
    const auto bytes = encode_portion_word(example());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_TRUE(decode_portion_word(ByteView(bytes).first(size)).has_error()) << size;
    }
    auto longer = bytes;
    longer.push_back(std::byte{0});
    EXPECT_TRUE(decode_portion_word(longer).has_error());
    Bytes huge(std::size_t{1} << 18U);
    std::copy(bytes.begin(), bytes.end(), huge.begin());
    EXPECT_EQ(decode_portion_word(huge).error().code, FaultCode::Oversized);
}

TEST(PortionWord, SumsThatNoEvaluationGivesAreRefused) {
    const auto refused = [](auto change) {
        auto word = example();
        change(word);
        return decode_portion_word(encode_portion_word(word)).has_error();
    };
    EXPECT_FALSE(refused([](PortionWord&) {}));
    EXPECT_TRUE(refused([](PortionWord& word) { word.portion = 25; }));
    EXPECT_TRUE(refused([](PortionWord& word) { word.result.correct = 10; }));
    EXPECT_TRUE(refused([](PortionWord& word) { word.result.loss_sum = std::nan(""); }));
    EXPECT_TRUE(refused([](PortionWord& word) {
        word.result.loss_sum = std::numeric_limits<double>::infinity();
    }));
    EXPECT_TRUE(refused([](PortionWord& word) { word.result.absolute_sum = -1.0; }));
    EXPECT_TRUE(refused([](PortionWord& word) { word.result.samples = ~std::uint64_t{0}; }));
    EXPECT_TRUE(refused([](PortionWord& word) { word.result.samples = 0; })) << "but right ones";
    EXPECT_TRUE(refused([](PortionWord& word) { word.result = {}; })) << "but tallies";
    EXPECT_FALSE(refused([](PortionWord& word) {
        word.result = {};
        word.tallies.clear();
    }));
}

TEST(PortionWord, TalliesThatFindNoRoomAreLeftOutButNotTheOneThatIsWatched) {
    std::vector<Bytes> tallies{Bytes(40'000), Bytes(20'000), Bytes(30'000), Bytes(1'000)};
    fit_tallies(tallies, 2, word_room(256));
    EXPECT_EQ(tallies[0].size(), 0U);
    EXPECT_EQ(tallies[1].size(), 20'000U);
    EXPECT_EQ(tallies[2].size(), 30'000U);
    EXPECT_EQ(tallies[3].size(), 1'000U);
    tallies = {Bytes(kWordTalliesMax + 1)};
    fit_tallies(tallies, 0, word_room(10));
    EXPECT_TRUE(tallies[0].empty());
    EXPECT_EQ(word_room(256), 65'536U);
    EXPECT_EQ(word_room(10), kWordTalliesMax);
}

}  // namespace
}  // namespace starling::peer
