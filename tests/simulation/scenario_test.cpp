// Goal: the scenarios that ship run clean in virtual time, the same file and seed give the same report,
// and a scenario that cannot be carried out fails. Method: `starling simulate --scenario` as a user runs
// it, and the report that it writes.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <unistd.h>
#include <vector>

#include "peer/commands/commands.hpp"
#include "peer/scenario/draw.hpp"

namespace starling::simulation {
namespace {

namespace fs = std::filesystem;

struct Outcome {
    int code = -1;
    std::string out;
    std::string errors;
};

class ScenarioFiles : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "starling-scenario-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }

    void TearDown() override { fs::remove_all(folder_); }

    static Outcome simulate(const std::string& flags) {
        CLI::App app;
        std::function<int()> chosen;
        peer::add_simulate(app, chosen);
        Outcome outcome;
        try {
            app.parse("simulate " + flags, false);
        } catch (const CLI::ParseError& error) {
            return {2, {}, error.what()};
        }
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        outcome.code = chosen();
        outcome.errors = testing::internal::GetCapturedStderr();
        outcome.out = testing::internal::GetCapturedStdout();
        return outcome;
    }

    [[nodiscard]] std::string file(const std::string& text) const {
        std::ofstream(folder_ / "file.toml") << text;
        return (folder_ / "file.toml").string();
    }

    [[nodiscard]] std::string report(const std::string& name) const {
        std::ifstream in(folder_ / name / "report.json");
        return {std::istreambuf_iterator<char>(in), {}};
    }

    fs::path folder_;
};

TEST_F(ScenarioFiles, ThoseThatShipRunClean) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(SCENARIOS)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    ASSERT_GE(files.size(), 10U);
    for (const auto& path : files) {
        for (const std::string seed : {"1", "2"}) {
            const auto run = simulate("--scenario " + path.string() + " --seed " + seed);
            EXPECT_EQ(run.code, 0) << path << " seed " << seed << "\n" << run.out << run.errors;
        }
    }
}

TEST_F(ScenarioFiles, ThoseThatAreDrawnRunClean) {
    scenario::DrawOptions options;
    options.mode = scenario::Mode::Simulate;
    for (std::uint64_t seed = 1; seed <= 25; ++seed) {
        const auto text = scenario::draw_scenario(seed, options);
        const auto run = simulate("--scenario " + file(text));
        EXPECT_EQ(run.code, 0) << text << run.out << run.errors;
    }
}

TEST_F(ScenarioFiles, ManySeedsAndAnotherNumberOfPeersAreTried) {
    const auto path = std::string(SCENARIOS) + "/half-dies.toml";
    const auto run = simulate("--scenario " + path + " --peers 9 --seed 5 --repeat 3");
    EXPECT_EQ(run.code, 0) << run.out << run.errors;
    EXPECT_EQ(run.out, "3 of 3 seeds clean\n");
    const auto cut = std::string(SCENARIOS) + "/one-way-pair.toml";
    EXPECT_EQ(simulate("--scenario " + cut + " --peers 2").code, 2);  // there is no peer 3
    EXPECT_EQ(simulate("--repeat 3").code, 2);
}

TEST_F(ScenarioFiles, ASoakGoesOnWhereTheLastOneStopped) {
    const auto folder = (folder_ / "soak").string();
    fs::create_directory(folder);
    std::ofstream(folder + "/soak.log") << "seed 41 clean\n";
    const auto run = simulate("--soak 1ms --seed 7 --report " + folder);
    EXPECT_EQ(run.code, 0) << run.out << run.errors;
    EXPECT_NE(run.out.find("drawn 42"), std::string::npos) << run.out;
    EXPECT_NE(run.out.find("1 scenarios clean, to seed 42"), std::string::npos) << run.out;
    EXPECT_FALSE(fs::exists(folder + "/seed-42.toml"));
    EXPECT_EQ(simulate("--soak soon").code, 2);
}

TEST_F(ScenarioFiles, TheSameFileAndSeedGiveTheSameReport) {
    const auto path = std::string(SCENARIOS) + "/churn.toml";
    for (const std::string name : {"one", "two", "other"}) {
        const std::string seed = name == "other" ? "9" : "8";
        const auto run = simulate(
            "--scenario " + path + " --seed " + seed + " --report " + (folder_ / name).string()
        );
        ASSERT_NE(run.code, 2) << run.errors;
    }
    EXPECT_FALSE(report("one").empty());
    EXPECT_EQ(report("one"), report("two"));
    EXPECT_NE(report("one"), report("other"));
}

TEST_F(ScenarioFiles, AnExpectationThatDoesNotHoldIsAFinding) {
    // Nobody can know of a crash so soon.
    const auto run = simulate(
        "--json --scenario " + file("calm = \"8s\"\n[[step]]\ndo = \"kill founder\"\n"
                                    "[expect]\nwhole_within = \"200ms\"\n")
    );
    EXPECT_EQ(run.code, 1);
    EXPECT_NE(run.out.find("\"clean\":false"), std::string::npos) << run.out;
    EXPECT_NE(run.out.find("not all peers list all peers 200ms after"), std::string::npos)
        << run.out;
}

TEST_F(ScenarioFiles, AFaultThatCannotBeCarriedOutFailsTheRun) {
    const auto run = simulate(
        "--scenario " + file("[[step]]\ndo = \"kill peer 2\"\n"
                             "[[step]]\ndo = \"pause peer 2\"\ndeadline = \"5s\"\n")
    );
    EXPECT_EQ(run.code, 1);
    EXPECT_NE(
        run.out.find("'pause peer 2' could not be done: peer 2 does not run"), std::string::npos
    ) << run.out;
}

TEST_F(ScenarioFiles, WrongFilesAreWrongUsage) {
    EXPECT_EQ(simulate("--scenario /does/not/exist").code, 2);
    const auto run = simulate("--scenario " + file("[[step]]\ndo = \"explode\"\n"));
    EXPECT_EQ(run.code, 2);
    EXPECT_NE(run.errors.find("file.toml:2:6: there is no verb 'explode'"), std::string::npos)
        << run.errors;
    EXPECT_EQ(simulate("--loss 1% --scenario " + file("")).code, 2);
    const auto refused = [this](const std::string& step) {
        const auto one = simulate("--scenario " + file("[[step]]\ndo = \"" + step + "\"\n"));
        EXPECT_EQ(one.code, 2) << step;
        return one.errors;
    };
    const std::string by_design =
        "file.toml:2:6: starling simulate cannot do 'reorder': its datagrams overtake";
    EXPECT_NE(refused("reorder 10%").find(by_design), std::string::npos) << refused("reorder 10%");
    EXPECT_NE(
        refused("liar peer 2 weather").find("file.toml:2:6: 'liar' wants"), std::string::npos
    );
    // A clock goes back only while its peer is down, which follows from the file.
    EXPECT_NE(
        refused("clock peer 2 -1h").find("line 1, column 1: no clock goes back"), std::string::npos
    ) << refused("clock peer 2 -1h");
    EXPECT_NE(refused("clock random -1h").find("hits nobody"), std::string::npos);
    EXPECT_EQ(simulate("--scenario " + file("[train]\nmix-every = \"often\"\n")).code, 2);
}

}  // namespace
}  // namespace starling::simulation
