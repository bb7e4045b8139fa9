// Goal: whoever reads a data set hears how far that is and what is odd, and can end it. Method: files
// that the test writes, read by the primitives that all readers use.

#include "data/reading.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include "data/formats/gz_source.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

/// Compresses as gzip does.
std::string gzip(const std::string& text) {
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

class ReadingTest : public ::testing::Test {
protected:
    std::string put(const std::string& bytes) {
        const auto path = folder_.path() / "file";
        testing::write_file(path, bytes);
        return path.string();
    }

    static Result<std::size_t> read_all(const std::string& path) {
        auto source = GzSource::open(path);
        if (!source) return source.error();
        std::vector<std::uint8_t> piece(std::size_t{1} << 20U);
        std::size_t all = 0;
        while (true) {
            const auto got = source->read(piece);
            if (!got) return got.error();
            all += *got;
            if (*got < piece.size()) return all;
        }
    }

    starling::testing::TemporaryDirectory folder_;
};

TEST_F(ReadingTest, OfALargeFileTheShareIsTold) {
    const auto path = put(std::string(std::size_t{32} << 20U, 'x'));
    std::vector<std::string> lines;
    const Reading reading([&lines](const std::string& line) { lines.push_back(line); });
    ASSERT_TRUE(read_all(path).has_value());
    ASSERT_GE(lines.size(), 10U);
    ASSERT_LE(lines.size(), 20U);
    int before = 0;
    for (const auto& line : lines) {
        const auto percent = std::stoi(line);
        EXPECT_GT(percent, before);
        EXPECT_EQ(line, std::to_string(percent) + " % of " + path + " read");
        before = percent;
    }
    EXPECT_GE(before, 90);
}

TEST_F(ReadingTest, WhatFollowsAGzipStreamIsLeftOutAndNotedOnce) {
    const auto good = gzip("some words");
    const auto path = put(good + "garbage that a broken copy left");
    Reading reading(nullptr);
    EXPECT_EQ(*read_all(path), 10U);
    EXPECT_EQ(*read_all(path), 10U);
    const auto notes = reading.take_notes();
    ASSERT_EQ(notes.size(), 1U);
    const auto byte = "byte " + std::to_string(good.size()) + " on";
    EXPECT_NE(notes[0].find(byte), std::string::npos) << notes[0];
    EXPECT_NE(notes[0].find(path), std::string::npos);
}

TEST_F(ReadingTest, SeveralGzipStreamsAndZerosBehindThemAreRight) {
    const auto path = put(gzip("some ") + gzip("words") + std::string(512, '\0'));
    Reading reading(nullptr);
    EXPECT_EQ(*read_all(path), 10U);
    EXPECT_TRUE(reading.take_notes().empty());
}

TEST_F(ReadingTest, AStopEndsTheNextRead) {
    const auto path = put(std::string(1000, 'x'));
    std::atomic<bool> stop{false};
    const Reading outer(nullptr, &stop);
    const Reading inner;  // what cuts a data set makes one of its own, which stops as well
    EXPECT_EQ(*read_all(path), 1000U);
    stop = true;
    EXPECT_EQ(read_all(path).error().code, FaultCode::Cancelled);
    EXPECT_EQ(Reading::tell("shards").error().code, FaultCode::Cancelled);
}

TEST_F(ReadingTest, AnInnerReadingTellsToTheOuterAndKeepsItsNotes) {
    std::vector<std::string> lines;
    Reading outer([&lines](const std::string& line) { lines.push_back(line); });
    {
        Reading inner;
        ASSERT_TRUE(Reading::tell("one").has_value());
        Reading::note("odd");
        EXPECT_EQ(inner.take_notes(), std::vector<std::string>{"odd"});
    }
    ASSERT_TRUE(Reading::tell("two").has_value());
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "two"}));
    EXPECT_TRUE(outer.take_notes().empty());
}

TEST_F(ReadingTest, WhereNobodyListensNothingHappens) {
    EXPECT_TRUE(Reading::tell("one").has_value());
    Reading::note("odd");
    EXPECT_EQ(*read_all(put("abc")), 3U);
}

}  // namespace
}  // namespace starling::data
