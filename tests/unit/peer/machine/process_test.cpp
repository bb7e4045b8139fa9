// Goal: a child's output, exit and failure to start all reach us, and no child stays behind.
// Method: real programs of the base system; each test runs the io_context until nothing is left to
// wait for.

#include "peer/machine/process.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <vector>

namespace starling::peer {
namespace {

struct Heard {
    std::vector<std::string> out;
    std::vector<std::string> err;
    std::optional<ProcessExit> exit;

    ProcessEvents events() {
        return {
            [this](std::string_view line) { out.emplace_back(line); },
            [this](std::string_view line) { err.emplace_back(line); },
            [this](ProcessExit how) { exit = how; }};
    }
};

Heard run_to_end(const ProcessOptions& options) {
    Heard heard;
    boost::asio::io_context io;
    const auto process = Process::spawn(io, options, heard.events());
    EXPECT_TRUE(process.has_value());
    io.run();
    return heard;
}

TEST(Process, LinesComeBeforeTheExit) {
    const auto heard = run_to_end({"/bin/echo", {"-e", "one\\n\\ntwo"}, {}});
    EXPECT_EQ(heard.out, (std::vector<std::string>{"one", "", "two"}));
    EXPECT_TRUE(heard.err.empty());
    ASSERT_TRUE(heard.exit.has_value());
    EXPECT_TRUE(heard.exit->ok());
}

TEST(Process, FailureKeepsItsCode) {
    const auto heard = run_to_end({"/bin/false", {}, {}});
    EXPECT_EQ(heard.exit, (ProcessExit{1, 0}));
    EXPECT_EQ(heard.exit->to_string(), "exit code 1");
}

TEST(Process, ErrorsAreAStreamOfTheirOwn) {
    const auto heard = run_to_end({"/bin/ls", {"/no/such/place"}, {}});
    EXPECT_TRUE(heard.out.empty());
    ASSERT_EQ(heard.err.size(), 1U);
    EXPECT_NE(heard.err[0].find("/no/such/place"), std::string::npos);
    EXPECT_FALSE(heard.exit->ok());
}

TEST(Process, EnvironmentIsAddedToOursAndReplacesIt) {
    ASSERT_EQ(::setenv("STARLING_TEST_KEPT", "ours", 1), 0);
    ASSERT_EQ(::setenv("STARLING_TEST_REPLACED", "ours", 1), 0);
    const auto heard = run_to_end(
        {"/usr/bin/env", {}, {{"STARLING_TEST_REPLACED", "theirs"}, {"STARLING_TEST_NEW", "1"}}}
    );
    const auto count = [&heard](const std::string& line) {
        return std::count(heard.out.begin(), heard.out.end(), line);
    };
    EXPECT_EQ(count("STARLING_TEST_KEPT=ours"), 1);
    EXPECT_EQ(count("STARLING_TEST_REPLACED=theirs"), 1);
    EXPECT_EQ(count("STARLING_TEST_REPLACED=ours"), 0);
    EXPECT_EQ(count("STARLING_TEST_NEW=1"), 1);
}

TEST(Process, MissingProgramIsNotFoundAndNothingRuns) {
    Heard heard;
    boost::asio::io_context io;
    const auto process = Process::spawn(io, {"/no/such/program", {}, {}}, heard.events());
    ASSERT_FALSE(process.has_value());
    EXPECT_EQ(process.error().code, FaultCode::NotFound);
    EXPECT_EQ(process.error().message.rfind("cannot start /no/such/program: ", 0), 0U);
    io.run();
    EXPECT_FALSE(heard.exit.has_value());
}

TEST(Process, SignalEndsItAndIsNamed) {
    Heard heard;
    boost::asio::io_context io;
    const auto process = Process::spawn(io, {"/bin/sleep", {"1000"}, {}}, heard.events());
    ASSERT_TRUE(process.has_value());
    EXPECT_TRUE((*process)->running());
    (*process)->send_signal(SIGKILL);
    io.run();
    EXPECT_EQ(heard.exit, (ProcessExit{0, SIGKILL}));
    EXPECT_EQ(heard.exit->to_string(), "SIGKILL");
    EXPECT_FALSE((*process)->running());
}

TEST(Process, DestructionKillsAndReapsWithoutAnEvent) {
    Heard heard;
    boost::asio::io_context io;
    int pid = 0;
    {
        const auto process = Process::spawn(io, {"/bin/sleep", {"1000"}, {}}, heard.events());
        ASSERT_TRUE(process.has_value());
        pid = (*process)->pid();
        EXPECT_EQ(::kill(pid, 0), 0);
    }
    EXPECT_EQ(::kill(pid, 0), -1);  // not even a zombie is left
    io.run();
    EXPECT_FALSE(heard.exit.has_value());
}

TEST(Process, ManyAtOnceEachGetTheirOwnExit) {
    boost::asio::io_context io;
    std::vector<Heard> heard(8);
    std::vector<std::unique_ptr<Process>> processes;
    for (std::size_t i = 0; i < heard.size(); ++i) {
        const char* program = i % 2 == 0 ? "/bin/true" : "/bin/false";
        auto process = Process::spawn(io, {program, {}, {}}, heard[i].events());
        ASSERT_TRUE(process.has_value());
        processes.push_back(std::move(*process));
    }
    io.run();
    for (std::size_t i = 0; i < heard.size(); ++i) {
        EXPECT_EQ(heard[i].exit, (ProcessExit{static_cast<int>(i % 2), 0})) << i;
    }
}

TEST(LineSplitter, LinesSurviveAnyCut) {
    const std::string text = "first\n\nthird line\nno end";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        std::vector<std::string> lines;
        LineSplitter splitter([&lines](std::string_view line) { lines.emplace_back(line); });
        splitter.feed(std::string_view(text).substr(0, cut));
        splitter.feed(std::string_view(text).substr(cut));
        splitter.finish();
        EXPECT_EQ(lines, (std::vector<std::string>{"first", "", "third line", "no end"})) << cut;
    }
}

TEST(LineSplitter, EndlessLineIsCutAtTheLimit) {
    std::vector<std::string> lines;
    LineSplitter splitter([&lines](std::string_view line) { lines.emplace_back(line); });
    const std::string block(10000, 'x');
    for (int i = 0; i < 20; ++i) splitter.feed(block);
    splitter.feed("\nnext\n");
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0].size(), LineSplitter::kLineBytesMax);
    EXPECT_EQ(lines[1], "next");
}

}  // namespace
}  // namespace starling::peer
