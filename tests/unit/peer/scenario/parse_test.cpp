// Goal: a scenario file is read as it says, and whatever is wrong with it is found with its place.
// Method: small files, right and wrong ones.

#include "peer/scenario/parse.hpp"

#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

#include "peer/scenario/words.hpp"

namespace starling::scenario {
namespace {

using namespace std::chrono_literals;

Result<Scenario> read(const std::string& text, Mode mode = Mode::Simulate) {
    return parse(text, "file", mode);
}

std::string fault_of(const std::string& text, Mode mode = Mode::Simulate) {
    const auto result = read(text, mode);
    return result ? "no fault" : result.error().message;
}

std::string step(const std::string& what) {
    return "[[step]]\ndo = \"" + what + "\"\n";
}

constexpr const char* kWhole = R"(
name = "storm"
seed = 7
calm = "8s"
[swarm]
peers = 8
threads = 2
profile = "wan"
[train]
model = "cnn"
mix-every = 8
sync = true
private = false
[links]
delay = "5ms"
rate = "100Mbit"
loss = "1%"
[[step]]
when = "all train and spread < 0.5"
do = "cut half"
for = "1m"
[[step]]
name = "end"
when = "+10s"
do = "kill peer 3,2"
deadline = "5s"
[[rate]]
do = "pause random 2"
every = "20s"
for = "2s"
until = "3m"
[expect]
reach = "no"
whole_within = "no"
false_failures = 2
training_gap = "1500ms"
errors = ["suspected"]
)";

TEST(ScenarioFile, AllItsPartsAreRead) {
    const auto file = read(kWhole);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->name, "storm");
    EXPECT_EQ(file->seed, 7U);
    EXPECT_EQ(file->calm, 8s);
    EXPECT_EQ(file->peers, 8U);
    EXPECT_EQ(file->threads, 2U);
    EXPECT_EQ(file->profile, "wan");
    ASSERT_EQ(file->train.size(), 3U);  // private = false is as if it were not there
    EXPECT_EQ(file->setting("mix-every"), "8");
    EXPECT_EQ(file->setting("sync"), "true");
    EXPECT_EQ(file->links.delay, 5ms);
    EXPECT_EQ(file->links.rate, 12.5e6);
    EXPECT_EQ(file->links.loss, 0.01);
    ASSERT_EQ(file->steps.size(), 2U);
    EXPECT_EQ(file->steps[0].name, "cut");
    EXPECT_EQ(file->steps[0].lasts, 60s);
    EXPECT_EQ(file->steps[0].when.terms.size(), 2U);
    EXPECT_EQ(file->steps[0].action.who.kind, Who::Kind::Half);
    EXPECT_EQ(file->steps[1].name, "end");
    EXPECT_EQ(file->steps[1].when.kind, When::Kind::After);
    EXPECT_EQ(file->steps[1].action.who, these({2, 3}));
    EXPECT_EQ(file->steps[1].deadline, 5s);
    ASSERT_EQ(file->repeats.size(), 1U);
    EXPECT_EQ(file->repeats[0].every, 20s);
    EXPECT_EQ(file->repeats[0].until, 180s);
    EXPECT_FALSE(file->expect.reach);
    EXPECT_FALSE(file->expect.whole_within);
    EXPECT_EQ(file->expect.false_failures, 2U);
    EXPECT_EQ(file->expect.training_gap, 1500ms);
    ASSERT_TRUE(file->expect.errors);
    EXPECT_EQ(file->expect.errors->size(), 1U);
}

TEST(ScenarioFile, FaultsHaveLineAndColumn) {
    EXPECT_EQ(
        fault_of("name = \"a\"\npears = 3\n").substr(0, 40),
        "file:2:1: a scenario has no 'pears'; it "
    );
    EXPECT_EQ(
        fault_of("[[step]]\nwhen = \"all sleep\"\ndo = \"heal\"\n").substr(0, 41),
        "file:2:8: 'all sleep' is no condition; us"
    );
    EXPECT_EQ(fault_of("name = \"a\nseed = 1").substr(0, 7), "file:1:");
}

TEST(ScenarioFile, WrongFilesAreRefusedWithAReason) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"seed = -1", "whole number"},
        {"seed = \"one\"", "whole number"},
        {"calm = 8", "a text in double quotes"},
        {"calm = \"8parsecs\"", "no duration"},
        {"[swarm]\npeers = 0", "from 1 to 1000"},
        {"[swarm]\nprofile = \"moon\"", "lan, wan or local"},
        {"[swarm]\nnetwork = \"moon\"", "loopback or spaces"},
        {"[swarm]\nstate = 1", "true or false"},
        {"swarm = 3", "[swarm]"},
        {"step = 3", "[[step]]"},
        {"[[step]]\nwhen = \"1s\"", "what to do"},
        {step("explode random"), "no verb 'explode'"},
        {step("kill"), "does not say whom"},
        {step("kill everybody"), "names nobody"},
        {step("kill peer 9"), "no peer 9"},
        {step("kill random 5"), "no 5 peers"},
        {step("kill peer 1,x"), "no number"},
        {step("slow random 1x"), "from 2x to 20x"},
        {step("slow random"), "from 2x to 20x"},
        {step("add none"), "no number"},
        {step("add 1 near peer 2"), "'by'"},
        {step("heal all"), "nothing more"},
        {step("loss 120%"), "no share"},
        {step("loss 1% of peer 2"), "whose links"},
        {step("loss 1% on"), "whose links"},
        {step("loss 1% on nobody"), "names nobody"},
        {step("rate 1Mbit on peer 1 > peer 2"), "all that a peer sends"},
        {step("seeds-gone peer 2"), "about the founder"},
        {"[[link]]\nfrom = \"random\"\nloss = \"1%\"", "names no peers"},
        {"[[link]]\nloss = \"1%\"", "whose it is"},
        {"[[link]]\nfrom = \"peer 1\"\nto = \"peer 2\"\nrate = \"1Mbit\"", "leave out 'to'"},
        {"[[link]]\nfrom = \"peer 9\"", "no peer 9"},
        {"[expect]\nprogress = \"maybe\"", "true or \"no\""},
        {"[expect]\nfailures = -1", "whole number"},
        {"[expect]\naccuracy_lost = 0.1", "wants a 'baseline'"},
        {"[expect]\naccuracy_lost = 2\nbaseline = 0.9", "from 0 to 1"},
        {"[expect]\naccuracy_lost = 0.1\nbaseline = \"best\"", "an accuracy or \"run\""},
        {"[expect]\nmemory_growth = \"32 stones\"", "no bytes"},
        {step("rate wide"), "no rate"},
        {step("mtu 12"), "576"},
        {step("wait"), "no condition"},
        {step("wait after cut"), "has the name 'cut'"},
        {step("kill cut.1"), "has the name 'cut'"},
        {step("wait peer 1 says up"), "starling swarm"},
        {step("restart peer 1") + "for = \"1s\"", "cannot be undone"},
        {"[swarm]\nstate = false\n" + step("restart peer 1"), "state = true"},
        {"[[rate]]\ndo = \"restart random\"\nevery = \"1s\"\nfor = \"1s\"", "a rate can do"},
        {"[[rate]]\ndo = \"kill random\"\nfor = \"1s\"", "how often"},
        {"[[rate]]\ndo = \"kill random\"\nevery = \"1s\"", "how long"},
        {"[[rate]]\ndo = \"kill all\"\nevery = \"1s\"\nfor = \"1s\"", "a rate hits"},
        {"[[rate]]\ndo = \"kill random\"\nevery = \"100ms\"\nfor = \"1s\"\nuntil = \"1h\"", "5000"},
        {"[expect]\naccuracy = 1", "has no 'accuracy'"},
        {"[expect]\nreach = \"maybe\"", "'reach'"},
        {"[expect]\nspread = 0", "above 0"},
        {"[expect]\nerrors = \"all\"", "a list of texts"},
        {"[train]\nmodel = [1]", "a text, a number or true"},
    };
    for (const auto& [text, reason] : cases) {
        EXPECT_NE(fault_of(text).find(reason), std::string::npos) << text << "\n" << fault_of(text);
    }
}

TEST(ScenarioFile, ClocksAndLiarsAreRefusedWithAReason) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {step("clock random 1h"), "on or back"},
        {step("clock random +0s"), "on or back"},
        {step("clock random +25h"), "at most 24h"},
        {step("clock +1h"), "does not say whom"},
        {step("clock"), "on or back"},
        {step("clock peer 1 +1h") + "for = \"1s\"", "cannot be undone"},
        {step("liar peer 2"), "what about: frames, members, records or parameters"},
        {step("liar frames"), "does not say whom"},
        {"[swarm]\npeers = 1\n" + step("liar peer 1 frames"), "nobody to lie to"},
    };
    for (const auto& [text, reason] : cases) {
        EXPECT_NE(fault_of(text).find(reason), std::string::npos) << text << "\n" << fault_of(text);
    }
}

TEST(ScenarioFile, VerbsThatTheModeCannotDoAreRefused) {
    EXPECT_EQ(
        fault_of(step("cut half"), Mode::Loopback),
        "file:2:6: starling swarm on loopback cannot do 'cut'; it can do kill, term, restart, add, "
        "pause, resume, slow, seeds-gone, address-change, fd-limit, memory, corrupt, wait"
    );
    EXPECT_EQ(fault_of(step("cut half"), Mode::Simulate), "no fault");
    for (const std::string verb : {"disk-full", "disk-read-only", "corrupt", "address-change"}) {
        EXPECT_EQ(fault_of(step(verb + " peer 2"), Mode::Simulate), "no fault");
    }
    const std::vector<std::pair<std::string, std::string>> by_design = {
        {"reorder 10%",
         "its datagrams overtake each other wherever there is jitter; it can do kill"},
        {"block-tcp half", "half-open holds up those that are open; it can do kill"},
        {"fd-limit half 40", "virtual peers have no descriptors; it can do kill"},
        {"memory half 40MiB", "virtual peers have no memory of their own; it can do kill"}};
    for (const auto& [action, reason] : by_design) {
        EXPECT_NE(
            fault_of(step(action)).find("cannot do '" + action.substr(0, action.find(' '))),
            std::string::npos
        );
        EXPECT_NE(fault_of(step(action)).find(reason), std::string::npos) << fault_of(step(action));
    }
    for (const auto mode : {Mode::Loopback, Mode::Spaces}) {
        EXPECT_NE(
            fault_of(step("clock peer 2 +1h"), mode).find("file:2:6: starling swarm"),
            std::string::npos
        );
        EXPECT_NE(
            fault_of(step("liar peer 2 frames"), mode).find("cannot do 'liar': this program"),
            std::string::npos
        );
    }
    EXPECT_NE(
        fault_of("[links]\ndelay = \"5ms\"", Mode::Loopback).find("loopback"), std::string::npos
    );
}

TEST(ScenarioFile, RealPeersGetNetworksOfTheirOwnWhereTheFileNeedsThem) {
    const auto mode_of = [](const std::string& text) { return read(text, Mode::Spaces)->mode; };
    EXPECT_EQ(mode_of(step("kill random")), Mode::Loopback);
    EXPECT_EQ(mode_of(step("kill random") + step("cut half")), Mode::Spaces);
    EXPECT_EQ(mode_of("[links]\ndelay = \"5ms\""), Mode::Spaces);
    EXPECT_EQ(mode_of("[swarm]\nnetwork = \"spaces\""), Mode::Spaces);
    EXPECT_EQ(mode_of("[swarm]\nnetwork = \"loopback\""), Mode::Loopback);
    EXPECT_EQ(read("[swarm]\nnetwork = \"spaces\"")->mode, Mode::Simulate);
    EXPECT_NE(
        fault_of("[swarm]\nnetwork = \"loopback\"\n" + step("cut half"), Mode::Spaces)
            .find("starling swarm on loopback cannot do 'cut'"),
        std::string::npos
    );
    EXPECT_NE(
        fault_of("[swarm]\nnetwork = \"moon\"", Mode::Spaces).find("loopback or spaces"),
        std::string::npos
    );
    EXPECT_NE(fault_of(step("block-tcp half")).find("cannot do 'block-tcp'"), std::string::npos);
}

TEST(ScenarioFile, SomeLinksMayDifferFromAllOthers) {
    const auto file = read(
        "[[link]]\nfrom = \"founder\"\nrate = \"1Mbit\"\n"
        "[[link]]\nfrom = \"peer 2\"\nto = \"peer 1,3\"\ndelay = \"50ms\"\n" +
            step("loss 5% on peer 2 > peer 3"),
        Mode::Spaces
    );
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->mode, Mode::Spaces);
    ASSERT_EQ(file->own_links.size(), 2U);
    EXPECT_EQ(file->own_links[0].from, std::vector<std::size_t>{1});
    EXPECT_TRUE(file->own_links[0].to.empty());
    EXPECT_EQ(file->own_links[0].links.rate, 125e3);
    EXPECT_EQ(file->own_links[1].to, (std::vector<std::size_t>{1, 3}));
    EXPECT_EQ(file->own_links[1].links.delay, 50ms);
    EXPECT_EQ(file->steps[0].action.other, these({3}));
}

TEST(ScenarioFile, TooMuchIsRefused) {
    EXPECT_NE(fault_of(std::string(kFileMax + 1, '#')).find("at most"), std::string::npos);
    std::string deep = "name = ";
    deep.append(100'000, '[');
    EXPECT_NE(fault_of(deep), "no fault");
    EXPECT_NE(fault_of(step("add 600") + step("add 600")).find("1000 peers"), std::string::npos);
}

TEST(ScenarioWords, ActionsAndConditionsAreReadAsTheyAreWritten) {
    for (const std::string text :
         {"kill founder",
          "term peer 1,2",
          "power-off random",
          "restart all",
          "add 2 by newest",
          "pause random 2",
          "resume last",
          "slow half 4x",
          "cut peer 1 | peer 2,3",
          "cut minority",
          "isolate random",
          "one-way peer 1 > peer 2",
          "heal",
          "loss 20%",
          "delay 5ms",
          "jitter 1ms",
          "duplicate 1%",
          "rate 10000kbit",
          "mtu 1280",
          "block-udp random",
          "restart storm.2",
          "clock peer 2 +3600s",
          "clock random -1500ms",
          "liar random members",
          "liar peer 2,3 parameters",
          "wait all train and whole",
          "wait spread < 0.5 and step > 100",
          "wait accuracy > 0.8 and after cut and peer 3 says failed"}) {
        const auto action = parse_action(text);
        ASSERT_TRUE(action.has_value()) << text << ": " << action.error().message;
        EXPECT_EQ(to_string(*action), text);
    }
}

TEST(ScenarioWords, DurationsAreExact) {
    EXPECT_EQ(*parse_duration("0.3s"), 300ms);
    EXPECT_EQ(*parse_duration("1.5m"), 90s);
    EXPECT_EQ(*parse_duration("2h"), 2h);
    for (const auto duration : {Duration(3ms), Duration(90s), Duration(250us)}) {
        EXPECT_EQ(*parse_duration(to_text(duration)), duration);
    }
    for (const char* wrong : {"", "s", "-1s", "1", "nan", "infs", "1e300s", "1s2"}) {
        EXPECT_FALSE(parse_duration(wrong).has_value()) << wrong;
    }
}

}  // namespace
}  // namespace starling::scenario
