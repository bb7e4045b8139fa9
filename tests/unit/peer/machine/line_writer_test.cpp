// Goal: whoever prints never waits for whoever reads, and what a reader gets are whole lines, with a
// word about those that are missing. Method: pipes that nobody reads, or that nobody can read.

#include "peer/machine/line_writer.hpp"

#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sstream>
#include <unistd.h>
#include <vector>

#include "peer/machine/files.hpp"

namespace starling::peer {
namespace {

/// Far longer than anything here takes, even under a sanitizer on a busy machine.
constexpr std::chrono::minutes kPatience{2};

std::string missing(std::uint64_t lines) {
    return "missing " + std::to_string(lines);
}

class LineWriters : public ::testing::Test {
protected:
    void SetUp() override {
        int ends[2];
        ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        read_end_ = FileHandle(ends[0]);
        write_end_ = FileHandle(ends[1]);
    }

    /// Fills the pipe with empty lines, so that the next write waits for a reader.
    void fill_pipe() {
        ASSERT_EQ(::fcntl(write_end_.get(), F_SETFL, O_NONBLOCK), 0);
        const std::string empty(4096, '\n');
        while (::write(write_end_.get(), empty.data(), empty.size()) > 0) {
        }
        ASSERT_EQ(::fcntl(write_end_.get(), F_SETFL, 0), 0);
    }

    /// Reads until `last` has come as a line, and returns all lines before it.
    std::vector<std::string> read_until(const std::string& last) {
        while (!text_.ends_with(last + "\n")) {
            char bytes[4096];
            const auto count = ::read(read_end_.get(), bytes, sizeof bytes);
            if (count <= 0) break;
            text_.append(bytes, static_cast<std::size_t>(count));
        }
        std::vector<std::string> lines;
        std::istringstream in(text_);
        for (std::string line; std::getline(in, line);) lines.push_back(line);
        EXPECT_FALSE(lines.empty());
        if (!lines.empty()) {
            EXPECT_EQ(lines.back(), last);
            lines.pop_back();
        }
        text_.clear();
        return lines;
    }

    FileHandle read_end_;
    FileHandle write_end_;
    std::string text_;
};

TEST_F(LineWriters, LinesComeWholeAndInOrder) {
    LineWriter writer(write_end_.get(), missing);
    for (int i = 0; i < 100; ++i) writer.put(std::to_string(i), LineKind::Progress);
    writer.put("end", LineKind::Last);
    const auto lines = read_until("end");
    ASSERT_EQ(lines.size(), 100U);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(lines[static_cast<std::size_t>(i)], std::to_string(i));
    EXPECT_TRUE(writer.drain(kPatience));
    EXPECT_EQ(writer.dropped(), 0U);
}

TEST_F(LineWriters, APipeThatNobodyReadsCostsProgressLinesOnly) {
    constexpr std::uint64_t kLines = 10'000;
    const std::string padding(100, '.');
    fill_pipe();
    LineWriter writer(write_end_.get(), missing);
    for (std::uint64_t i = 0; i < kLines; ++i) {
        writer.put("progress " + padding, LineKind::Progress);
        if (i % 1000 == 0) writer.put("event " + std::to_string(i), LineKind::Event);
    }
    EXPECT_FALSE(writer.drain(std::chrono::nanoseconds(1)));
    const auto dropped = writer.dropped();
    EXPECT_GT(dropped, kLines / 2);
    writer.put("goodbye", LineKind::Last);
    auto lines = read_until("goodbye");
    // The reader is back: the next line tells what it has missed.
    ASSERT_TRUE(writer.drain(kPatience));
    writer.put("again", LineKind::Progress);
    for (auto& line : read_until("again")) lines.push_back(std::move(line));
    std::uint64_t events = 0;
    std::uint64_t progress = 0;
    std::uint64_t told = 0;
    for (const auto& line : lines) {
        if (line.starts_with("event ")) ++events;
        if (line == "progress " + padding) ++progress;
        if (line.starts_with("missing ")) told += std::stoull(line.substr(8));
    }
    EXPECT_EQ(events, 10U);
    EXPECT_EQ(progress + dropped, kLines);
    EXPECT_EQ(told, dropped);
}

TEST_F(LineWriters, EventsHaveABoundAndTheLastLineHasNone) {
    LineWriter writer(write_end_.get(), missing);
    const std::string line(1000, 'e');
    for (std::size_t i = 0; i < 2 * LineWriter::kEventBytesMax / line.size(); ++i) {
        writer.put(line, LineKind::Event);
    }
    EXPECT_GT(writer.dropped(), 0U);
    writer.put("goodbye", LineKind::Last);
    EXPECT_GE(read_until("goodbye").size(), LineWriter::kEventBytesMax / line.size());
}

TEST_F(LineWriters, AReaderWhoIsGoneEndsNothing) {
    read_end_ = FileHandle();
    LineWriter writer(write_end_.get(), missing);  // SIGPIPE would end this test
    writer.put("one", LineKind::Event);
    writer.put("two", LineKind::Last);
    EXPECT_TRUE(writer.drain(kPatience));
    EXPECT_EQ(writer.dropped(), 2U);
}

TEST_F(LineWriters, ADescriptorThatSomebodyMadeNonBlockingLosesNothing) {
    ASSERT_EQ(::fcntl(write_end_.get(), F_SETFL, O_NONBLOCK), 0);
    LineWriter writer(write_end_.get(), missing);
    constexpr int kLines = 300;  // several times what a pipe holds
    for (int i = 0; i < kLines; ++i) writer.put(std::string(1000, 'x'), LineKind::Event);
    writer.put("end", LineKind::Last);
    EXPECT_EQ(read_until("end").size(), static_cast<std::size_t>(kLines));
    EXPECT_EQ(writer.dropped(), 0U);
}

TEST_F(LineWriters, OnlyTheSameFileIsTheSame) {
    const FileHandle copy(::dup(write_end_.get()));
    EXPECT_TRUE(same_file(write_end_.get(), copy.get()));
    const FileHandle other(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    EXPECT_FALSE(same_file(write_end_.get(), other.get()));
    EXPECT_FALSE(same_file(-1, -1));
}

}  // namespace
}  // namespace starling::peer
