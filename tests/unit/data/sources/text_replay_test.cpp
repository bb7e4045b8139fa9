// Goal: a text that is encoded anew whenever it is read gives the tokens that encoding it once gives, wherever
// reading begins, and says so when a file is no longer what it was. Method: all documents are joined and numbered by a
// naive twin; stretches are drawn at random.

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

#include "base/rng.hpp"
#include "data/token_source.hpp"
#include "data/utf8.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

std::string text_of_length(Rng& rng, std::size_t characters) {
    constexpr std::array<char32_t, 6> kSome{U'a', U'z', U'\n', U'ü', U'学', U'🎵'};
    std::string text;
    for (std::size_t i = 0; i < characters; ++i) {
        append_utf8(text, kSome[static_cast<std::size_t>(rng.next() % kSome.size())]);
    }
    return text;
}

/// The code points of all documents with a zero between those that have any; or their bytes, with 256 between.
std::vector<char32_t> joined(const std::vector<std::string>& documents, bool bytes) {
    std::vector<char32_t> all;
    for (const auto& document : documents) {
        if (document.empty()) continue;
        if (!all.empty()) all.push_back(bytes ? 256 : 0);
        if (bytes) {
            for (const char c : document) all.push_back(static_cast<unsigned char>(c));
        } else {
            const auto points = *utf8_points(document);
            all.insert(all.end(), points.begin(), points.end());
        }
    }
    return all;
}

/// Numbers the points in their order.
std::vector<std::uint16_t> numbered(const std::vector<char32_t>& points) {
    const std::set<char32_t> known(points.begin(), points.end());
    std::vector<std::uint16_t> tokens;
    for (const auto point : points) {
        tokens.push_back(static_cast<std::uint16_t>(std::distance(known.begin(), known.find(point)))
        );
    }
    return tokens;
}

class TextReplayed : public ::testing::Test {
protected:
    void SetUp() override {
        Rng rng(7);
        for (const std::size_t length :
             std::vector<std::size_t>{3, 0, 70000, 1, 0, 140000, 20, 65536, 4}) {
            documents_.push_back(text_of_length(rng, length));
        }
        for (std::size_t i = 0; i < documents_.size(); ++i) put(i, documents_[i]);
    }

    void put(std::size_t document, std::string_view text) const {
        testing::write_file(folder_.path() / ("d" + std::to_string(document)), text);
    }

    [[nodiscard]] TokenSourcePointer open(const std::string& options) const {
        auto source = open_tokens(*Spec::parse("text:" + folder_.path().string() + options), {});
        EXPECT_TRUE(source.has_value()) << (source ? "" : source.error().message);
        return source ? std::move(*source) : nullptr;
    }

    std::vector<std::string> documents_;
    starling::testing::TemporaryDirectory folder_;
};

TEST_F(TextReplayed, EveryStretchIsTheOneOfTheWholeText) {
    for (const bool bytes : {false, true}) {
        const auto points = joined(documents_, bytes);
        const auto expected =
            bytes ? std::vector<std::uint16_t>(points.begin(), points.end()) : numbered(points);
        for (const char* split : {"0.02", "0.5", "0.9"}) {
            const auto source =
                open(std::string("?split=") + split + (bytes ? "&tokens=bytes" : ""));
            ASSERT_NE(source, nullptr);
            const auto train = source->count(Split::Train);
            ASSERT_EQ(train + source->count(Split::Test), expected.size());
            Rng rng(11);
            for (int i = 0; i < 60; ++i) {
                const auto part = i % 3 == 0 ? Split::Test : Split::Train;
                const auto count = source->count(part);
                const auto at = rng.next() % count;
                std::vector<std::uint16_t> got(static_cast<std::size_t>(
                    std::min<std::uint64_t>(count - at, rng.next() % 90000)
                ));
                ASSERT_TRUE(source->read(part, at, got).has_value());
                const auto from = at + (part == Split::Test ? train : 0);
                EXPECT_TRUE(std::equal(
                    got.begin(), got.end(), expected.begin() + static_cast<std::ptrdiff_t>(from)
                )) << (bytes ? "bytes " : "characters ")
                   << at << ", " << got.size();
            }
        }
    }
}

TEST_F(TextReplayed, TheMarkAtTheBorderIsForTraining) {
    // Half of the characters end with the second document.
    for (std::size_t i = 0; i < documents_.size(); ++i) put(i, i < 4 ? "abcd" : "");
    const auto source = open("?split=0.5&context=2");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 10U) << "eight characters and two marks";
    EXPECT_EQ(source->count(Split::Test), 9U);
}

TEST_F(TextReplayed, AFileThatHasChangedIsNamed) {
    for (const auto& [document, text] :
         {std::pair<std::size_t, std::string>{2, "shorter"},
          {2, documents_[2] + "a"},
          {3, ""},
          {8, "z"}}) {
        const auto source = open("");
        ASSERT_NE(source, nullptr);
        put(document, text);
        std::vector<std::uint16_t> all(
            static_cast<std::size_t>(source->count(Split::Train) + source->count(Split::Test))
        );
        const auto train = static_cast<std::size_t>(source->count(Split::Train));
        auto read = source->read(Split::Train, 0, std::span(all).first(train));
        if (read) read = source->read(Split::Test, 0, std::span(all).subspan(train));
        ASSERT_TRUE(read.has_error()) << document << ", " << text.size();
        EXPECT_EQ(read.error().code, FaultCode::Corrupt);
        EXPECT_NE(read.error().message.find("it has changed"), std::string::npos);
        put(document, documents_[document]);
    }
}

TEST_F(TextReplayed, ACharacterThatTheSwarmDoesNotKnowIsRefusedBeforeAnythingIsCut) {
    const auto theirs = open("");
    ASSERT_NE(theirs, nullptr);
    put(5, documents_[5] + "q");
    const KnownTokens known{theirs->recipe(), theirs->tokens()};
    const auto ours = open_tokens(*Spec::parse("text:" + folder_.path().string()), {}, &known);
    ASSERT_TRUE(ours.has_error());
    EXPECT_EQ(ours.error().code, FaultCode::Usage);
    EXPECT_NE(ours.error().message.find("the character q"), std::string::npos);
}

}  // namespace
}  // namespace starling::data
