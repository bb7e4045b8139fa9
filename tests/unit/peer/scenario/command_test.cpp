// Goal: each line of a running scenario means what it says or is refused with a reason.
// Method: lines as people and scripts write them.

#include "peer/scenario/command.hpp"

#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

namespace starling::scenario {
namespace {

using namespace std::chrono_literals;

Command read(const std::string& line) {
    auto command = parse_command(line, Mode::Spaces);
    if (!command) ADD_FAILURE() << line << ": " << command.error().message;
    return command ? *command : Command{};
}

TEST(LiveCommand, ActionsAreThoseOfAFile) {
    EXPECT_EQ(to_string(read("kill random 2").step.action), "kill random 2");
    const auto cut = read("  cut half for 30s\r").step;
    EXPECT_EQ(to_string(cut.action), "cut half");
    EXPECT_EQ(cut.lasts, 30s);
    EXPECT_EQ(cut.name, "cut");
    EXPECT_FALSE(read("heal").step.lasts.has_value());
}

TEST(LiveCommand, WaitingHasADeadlineOfItsOwn) {
    const auto wait = read("wait whole and all train 20s").step;
    EXPECT_EQ(wait.deadline, 20s);
    EXPECT_EQ(to_string(wait.action), "wait whole and all train");
    EXPECT_EQ(read("wait step > 20").step.deadline, kDeadline);
    EXPECT_EQ(read("wait step > 20 2m").step.deadline, 2min);
}

TEST(LiveCommand, ClaimsHaveTheirUnits) {
    EXPECT_EQ(read("expect training_gap 1500ms").claim.most, 1.5);
    EXPECT_EQ(read("expect false_failures 0").claim.kind, Claim::Kind::FalseFailures);
    EXPECT_EQ(read("expect spread 0.25").claim.most, 0.25);
    EXPECT_EQ(read("status").kind, Command::Kind::Status);
    EXPECT_EQ(read("end").kind, Command::Kind::End);
}

TEST(LiveCommand, WrongLinesAreRefusedWithAReason) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"", "empty"},
        {"fly", "there is no verb 'fly'"},
        {"kill", "whom"},
        {"kill random for", "no number"},
        {"kill random for ever", "no duration"},
        {"restart last for 5s", "cannot be undone"},
        {"wait", "no condition"},
        {"wait 20s", "no condition"},
        {"expect luck 7", "wants one of"},
        {"expect spread many", "no number"},
        {"expect spread -1", "no number"},
        {"expect training_gap 5", "no duration"},
        {"expect ", "wants one of"},
        {std::string(kCommandMax + 1, 'a'), "at most"},
    };
    for (const auto& [line, reason] : cases) {
        const auto command = parse_command(line, Mode::Spaces);
        ASSERT_FALSE(command.has_value()) << line;
        EXPECT_NE(command.error().message.find(reason), std::string::npos)
            << line << ": " << command.error().message;
    }
    const auto cut = parse_command("cut half", Mode::Loopback);
    ASSERT_FALSE(cut.has_value());
    EXPECT_NE(cut.error().message.find("cannot do 'cut'"), std::string::npos);
}

}  // namespace
}  // namespace starling::scenario
