// Goal: a text file becomes the characters that people see in it, and wrong files and specs get one line. Method:
// small files that the tests write.

#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include "data/token_source.hpp"
#include "data/utf8.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

using starling::testing::TemporaryDirectory;
using testing::write_file;

/// Returns a text in which the three preceding characters determine each character's place.
std::string counted(std::size_t length) {
    std::string text;
    for (std::size_t i = 0; text.size() < length; ++i) text += std::to_string(i) + ' ';
    text.resize(length);
    return text;
}

std::uint64_t all_of(const TokenSource& source) {
    return source.count(Split::Train) + source.count(Split::Test);
}

std::vector<std::uint16_t> tokens_of(const TokenSource& source, Split split) {
    std::vector<std::uint16_t> tokens(static_cast<std::size_t>(source.count(split)));
    EXPECT_TRUE(source.read(split, 0, tokens).has_value());
    return tokens;
}

Result<TokenSourcePointer> open(const std::string& spec) {
    return open_tokens(*Spec::parse(spec), {});
}

class Texts : public ::testing::Test {
protected:
    std::string write(const std::string& content) {
        write_file(directory_.path() / "text.txt", content);
        return "text:" + (directory_.path() / "text.txt").string();
    }

    TokenSourcePointer load(const std::string& content, const std::string& options) {
        auto source = open(write(content) + options);
        EXPECT_TRUE(source.has_value()) << source.error().message;
        return std::move(*source);
    }

    /// Opening is refused, or else cutting.
    void expect_usage(const std::string& spec, const std::string& part) {
        const auto source = open(spec);
        Fault fault;
        if (source.has_error()) {
            fault = source.error();
        } else {
            std::vector<Bytes> shards;
            const auto cut =
                cut_tokens(**source, {}, std::nullopt, testing::test_hash, collect_in(shards));
            ASSERT_TRUE(cut.has_error()) << spec;
            fault = cut.error();
        }
        EXPECT_EQ(to_string(fault.code), to_string(FaultCode::Usage));
        EXPECT_NE(fault.message.find(part), std::string::npos) << fault.message;
        EXPECT_EQ(fault.message.find('\n'), std::string::npos);
    }

    TemporaryDirectory directory_;
};

TEST_F(Texts, WhatEditorsPutIntoATextIsNotLearnedAndIsSaid) {
    const auto source = load(
        "\xef\xbb\xbf"
        "ab\r\nab\r\nab\nab\rb",
        "?context=2&split=0.5"
    );
    EXPECT_EQ(source->recipe().vocabulary, "\n\rab") << "a CR alone is a character";
    EXPECT_EQ(all_of(*source), 13U);
    ASSERT_EQ(source->notes().lines.size(), 2U);
    EXPECT_NE(source->notes().lines[0].find("byte order mark"), std::string::npos);
    EXPECT_NE(source->notes().lines[1].find("2 line ends of CR LF"), std::string::npos);
    EXPECT_TRUE(load(counted(100), "?context=2")->notes().lines.empty());
    expect_usage(write(std::string("abcabcabc\0abcabc", 16)), "not a text: byte 9");
}

TEST_F(Texts, APipeIsRefusedAtOnce) {
    const auto pipe = directory_.path() / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    expect_usage("text:" + pipe.string(), "pipe");
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
    const auto both = open(spec);
    ASSERT_TRUE(both.has_value()) << both.error().message;
    EXPECT_EQ(all_of(**both), 300'008U);
    for (const std::string garbage : {"x", "garbage that follows", "\x1f"}) {
        write_file(path, first + garbage);
        const auto read = open(spec);
        ASSERT_TRUE(read.has_value()) << garbage;
        EXPECT_EQ(all_of(**read), 300'000U);
    }
    write_file(path, first + "\x1f\x8b");
    EXPECT_EQ(open(spec).error().code, FaultCode::Truncated) << "a stream that is torn";
}

TEST_F(Texts, CharactersAreNumberedInAscendingOrderAndSplitInTheTextsOrder) {
    const auto source = load(
        "caf\xc3\xa9 \xe2\x82\xac"
        "aaaaaaaaaaaaab",
        "?context=2&split=0.5"
    );
    EXPECT_EQ(source->recipe().vocabulary, " abcf\xc3\xa9\xe2\x82\xac");
    EXPECT_EQ(source->tokens(), 7U);
    EXPECT_EQ(source->recipe().context, 2U);
    EXPECT_EQ(source->count(Split::Train), 10U);
    EXPECT_EQ(source->count(Split::Test), 10U);
    EXPECT_EQ(
        tokens_of(*source, Split::Train), (std::vector<std::uint16_t>{3, 1, 4, 5, 0, 6, 1, 1, 1, 1})
    );
    EXPECT_EQ(tokens_of(*source, Split::Test).back(), 2);
}

TEST_F(Texts, AGzippedFileIsTheSameText) {
    const auto plain = load(counted(5000), "?context=8");
    const auto path = directory_.path() / "text.txt.gz";
    const std::string content = counted(5000);
    gzFile file = gzopen(path.c_str(), "wb");
    ASSERT_EQ(gzwrite(file, content.data(), 5000), 5000);
    ASSERT_EQ(gzclose(file), Z_OK);
    const auto packed = open("text:" + path.string() + "?context=8");
    ASSERT_TRUE(packed.has_value()) << packed.error().message;
    EXPECT_EQ(tokens_of(**packed, Split::Train), tokens_of(*plain, Split::Train));
    EXPECT_EQ(tokens_of(**packed, Split::Test), tokens_of(*plain, Split::Test));
}

TEST_F(Texts, WrongTextsAndSpecsAreExplained) {
    expect_usage(write(""), "it is empty");
    expect_usage(write(counted(600)), "60 tokens to test on, at least 65");
    expect_usage(write(counted(600)) + "?context=60&split=0.05", "30 tokens to train on");
    expect_usage(write(std::string(600, 'x')) + "?context=8", "one character");
    expect_usage(write(counted(600) + "\xff"), "byte 600");
    expect_usage(write(counted(600)) + "?size=3", "'size'");
    expect_usage(write(counted(600)) + "?context=0", "context=0");
    expect_usage(write(counted(600)) + "?split=1", "split=1");
    std::string all;
    for (char32_t point = 1; point < 0x11000; ++point) {
        if (point < 0xd800 || point >= 0xe000) append_utf8(all, point);
    }
    expect_usage(write(all), "more than 65536 distinct");
    const auto missing = open("text:/nonexistent/file");
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, FaultCode::NotFound);
}

}  // namespace
}  // namespace starling::data
