// Goal: what a user writes on the command line or in a TOML file is the configuration that a peer
// runs with, and a slip is an error. Method: parse as main does and compare values.

#include "peer/commands/peer_flags.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>

#include "peer/commands/commands.hpp"
#include "peer/commands/founder_flags.hpp"
#include "peer/machine/cores.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

/// What one command line gives.
struct Parsed {
    PeerConfig config;
    std::string error;  ///< empty if the line was taken
};

class PeerFlags : public ::testing::Test {
protected:
    static Parsed parse(std::vector<std::string> arguments) {
        CLI::App app{"test", "starling"};
        take_config_file(app);
        Parsed parsed;
        std::string run_for;
        auto* command = app.add_subcommand("peer", "");
        add_peer_flags(*command, parsed.config, run_for);
        std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
        try {
            app.parse(arguments);
        } catch (const CLI::ParseError& error) {
            parsed.error = error.what();
            return parsed;
        }
        const auto completed = complete_config(*command, run_for, parsed.config);
        if (completed.has_error()) parsed.error = completed.error().message;
        return parsed;
    }

    /// Parses with a configuration file of this text.
    Parsed parse_file(const std::string& text, const std::vector<std::string>& more = {}) {
        const auto path = directory_.path() / "starling.toml";
        std::ofstream(path) << text;
        std::vector<std::string> arguments{"--config", path.string(), "peer"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return parse(arguments);
    }

    starling::testing::TemporaryDirectory directory_;
};

/// One flag with a value that is not its default, and how to see it in a configuration.
struct Flag {
    const char* name;
    const char* value;  ///< null for a switch
    bool (*is_set)(const PeerConfig&);
};

constexpr Flag kFlags[] = {
    {"private", nullptr, [](auto& c) { return c.private_data; }},
    {"schema", "/s.json", [](auto& c) { return c.schema == "/s.json"; }},
    {"silent-quality", nullptr, [](auto& c) { return c.silent_quality; }},
    {"name", "kitchen-pc", [](auto& c) { return c.name == "kitchen-pc"; }},
    {"state", "/s", [](auto& c) { return c.state == "/s"; }},
    {"listen", "127.0.0.1:1", [](auto& c) { return c.listen == "127.0.0.1:1"; }},
    {"advertise", "h:2", [](auto& c) { return c.advertise == "h:2"; }},
    {"http", "[::1]:3", [](auto& c) { return c.http == "[::1]:3"; }},
    {"http-name",
     "box,lab.example",
     [](auto& c) {
         return c.http_names == std::vector<std::string>{"box", "lab.example"};
     }},
    {"join",
     "a:1,b:2",
     [](auto& c) {
         return c.join == std::vector<std::string>{"a:1", "b:2"};
     }},
    {"key", "/k", [](auto& c) { return c.key == "/k"; }},
    {"dataset", "idx:/d?train=5", [](auto& c) { return c.dataset == "idx:/d?train=5"; }},
    {"model", "mlp?hidden=8", [](auto& c) { return c.model == "mlp?hidden=8"; }},
    {"optimizer", "sgd?lr=0.5", [](auto& c) { return c.optimizer == "sgd?lr=0.5"; }},
    {"batch", "7", [](auto& c) { return c.batch == 7; }},
    {"mix", "push-sum", [](auto& c) { return c.mix == "push-sum"; }},
    {"mix-every", "3", [](auto& c) { return c.mix_every == "3"; }},
    {"encoding", "bf16", [](auto& c) { return c.encoding == "bf16"; }},
    {"share", "5%", [](auto& c) { return c.share == "5%"; }},
    {"sync", nullptr, [](auto& c) { return c.sync; }},
    {"upload-limit", "10Mbit", [](auto& c) { return c.upload_limit == "10Mbit"; }},
    {"weight-max", "16", [](auto& c) { return c.weight_max == 16; }},
    {"partition", "iid?owners=2", [](auto& c) { return c.partition == "iid?owners=2"; }},
    {"augment", "flip,crop=4", [](auto& c) { return c.augment == "flip,crop=4"; }},
    {"class-weights", "balanced", [](auto& c) { return c.class_weights == "balanced"; }},
    {"wait-for", "4", [](auto& c) { return c.wait_for == 4; }},
    {"until", "steps=5", [](auto& c) { return c.until == "steps=5"; }},
    {"precision", "bf16", [](auto& c) { return c.precision == "bf16"; }},
    {"kernels", "fixed", [](auto& c) { return c.kernels == Kernels::Fixed; }},
    {"device", "gpu", [](auto& c) { return c.device == "gpu"; }},
    {"threads", "9", [](auto& c) { return c.threads == 9; }},
    {"seed", "0", [](auto& c) { return c.seed_given && c.seed == 0; }},
    {"settle", "0.5", [](auto& c) { return c.settle == 0.5; }},
    {"for", "90s", [](auto& c) { return c.run_for == std::chrono::seconds(90); }},
    {"cache", "10GB", [](auto& c) { return c.cache == "10GB"; }},
    {"checkpoint-every", "5m", [](auto& c) { return c.checkpoint_every == "5m"; }},
    {"keep", "5", [](auto& c) { return c.keep == 5; }},
    {"profile", "wan", [](auto& c) { return c.profile == "wan"; }},
    {"membership-only", nullptr, [](auto& c) { return c.membership_only; }},
    {"json", nullptr, [](auto& c) { return c.json; }},
};

TEST_F(PeerFlags, EachSetsItsValueOnTheCommandLineAndInAFile) {
    const auto defaults = parse({"peer"});
    ASSERT_EQ(defaults.error, "");
    for (const auto& flag : kFlags) {
        EXPECT_FALSE(flag.is_set(defaults.config)) << flag.name;
        std::vector<std::string> line{"peer", "--" + std::string(flag.name)};
        if (flag.value != nullptr) line.emplace_back(flag.value);
        const auto by_flag = parse(line);
        EXPECT_EQ(by_flag.error, "") << flag.name;
        EXPECT_TRUE(flag.is_set(by_flag.config)) << flag.name;
        const std::string value =
            flag.value == nullptr ? "true" : '"' + std::string(flag.value) + '"';
        const auto by_file = parse_file("[peer]\n" + std::string(flag.name) + " = " + value + "\n");
        EXPECT_EQ(by_file.error, "") << flag.name;
        EXPECT_TRUE(flag.is_set(by_file.config)) << flag.name << " = " << value;
    }
}

TEST_F(PeerFlags, TheTableAboveHasThemAll) {
    CLI::App app;
    PeerConfig config;
    std::string run_for;
    add_peer_flags(app, config, run_for);
    for (const auto* option : app.get_options()) {
        const auto name = option->get_single_name();
        const bool known = std::any_of(std::begin(kFlags), std::end(kFlags), [&](const Flag& flag) {
            return name == flag.name;
        });
        EXPECT_TRUE(known || name == "help") << name;
    }
}

TEST_F(PeerFlags, WithoutAnyTheConfigurationIsTheDefaultOne) {
    const PeerConfig defaults;
    const auto config = parse({"peer"}).config;
    EXPECT_EQ(config.listen, defaults.listen);
    EXPECT_EQ(config.batch, defaults.batch);
    EXPECT_EQ(config.founder_flags, "");
    EXPECT_FALSE(config.seed_given);
    EXPECT_EQ(config.run_for, Duration::zero());
    EXPECT_EQ(config.threads, static_cast<int>(core_count()));
}

TEST_F(PeerFlags, AFileWithoutASectionBelongsToTheCommandThatRuns) {
    const auto parsed = parse_file("batch = 7\nmodel = \"mlp\"\n");
    EXPECT_EQ(parsed.error, "");
    EXPECT_EQ(parsed.config.batch, 7U);
    EXPECT_EQ(parsed.config.model, "mlp");
    EXPECT_NE(parse_file("bach = 7\n").error, "");
    const auto both = parse_file("batch = 7\n[peer]\nmix-every = 3\n");
    EXPECT_EQ(both.config.batch, 7U);
    EXPECT_EQ(both.config.mix_every, "3");
}

TEST_F(PeerFlags, ATildeIsTheHomeDirectoryInAFile) {
    ASSERT_EQ(::setenv("HOME", "/home/ada", 1), 0);
    const auto parsed = parse_file(
        "[peer]\nstate = \"~/s\"\nkey = \"~/k\"\ndataset = \"idx:~/d?train=5\"\n"
        "model = \"onnx:~/net.onnx\"\n"
    );
    EXPECT_EQ(parsed.error, "");
    EXPECT_EQ(parsed.config.state, "/home/ada/s");
    EXPECT_EQ(parsed.config.key, "/home/ada/k");
    EXPECT_EQ(parsed.config.dataset, "idx:/home/ada/d?train=5");
    EXPECT_EQ(parsed.config.model, "onnx:/home/ada/net.onnx");
    EXPECT_EQ(parse({"peer", "--state", "/a/~/b"}).config.state, "/a/~/b");
}

TEST_F(PeerFlags, TheEnvironmentGivesWhatNoFlagGives) {
    const std::pair<const char*, const char*> given[] = {
        {"STARLING_STATE", "/s"},
        {"STARLING_KEY", "/k"},
        {"STARLING_HTTP", "127.0.0.1:5"},
        {"STARLING_THREADS", "3"}};
    for (const auto& [name, value] : given) ASSERT_EQ(::setenv(name, value, 1), 0);
    const auto config = parse({"peer"}).config;
    const auto flag = parse({"peer", "--state", "/f"}).config;
    for (const auto& [name, value] : given) ::unsetenv(name);
    EXPECT_EQ(config.state, "/s");
    EXPECT_EQ(config.key, "/k");
    EXPECT_EQ(config.http, "127.0.0.1:5");
    EXPECT_EQ(config.threads, 3);
    EXPECT_EQ(flag.state, "/f");
}

TEST_F(PeerFlags, AFlagWinsOverTheFile) {
    const auto parsed = parse_file("[peer]\nbatch = 5\nmodel = \"mlp\"\n", {"--batch", "6"});
    EXPECT_EQ(parsed.error, "");
    EXPECT_EQ(parsed.config.batch, 6U);
    EXPECT_EQ(parsed.config.model, "mlp");
}

TEST_F(PeerFlags, EachSeedOf64BitsIsTaken) {
    EXPECT_EQ(parse({"peer", "--seed", "18446744073709551615"}).config.seed, ~std::uint64_t{0});
    EXPECT_EQ(parse_file("[peer]\nseed = 5\n").config.seed, 5U);
}

TEST_F(PeerFlags, AListMayBeWrittenInEachWay) {
    const std::vector<std::string> both{"a:1", "b:2"};
    EXPECT_EQ(parse({"peer", "--join", "a:1", "--join", "b:2"}).config.join, both);
    EXPECT_EQ(parse({"peer", "--join", "a:1", "b:2"}).config.join, both);
    EXPECT_EQ(parse_file("[peer]\njoin = [\"a:1\", \"b:2\"]\n").config.join, both);
}

TEST_F(PeerFlags, AFounderFlagIsRememberedWhereverItWasGiven) {
    EXPECT_EQ(parse({"peer", "--sync", "--batch", "64"}).config.founder_flags, "--batch, --sync");
    EXPECT_EQ(parse_file("[peer]\nmodel = \"cnn\"\n").config.founder_flags, "--model");
    EXPECT_EQ(parse({"peer", "--join", "a:1", "--threads", "2"}).config.founder_flags, "");
    for (const auto& flag : founder_flags()) {
        std::vector<std::string> line{"peer", flag.name};
        if (!flag.is_switch()) line.emplace_back("1");
        EXPECT_EQ(parse(line).config.founder_flags, flag.name);
    }
}

TEST_F(PeerFlags, ASlipIsAnErrorThatNamesIt) {
    struct Row {
        std::vector<std::string> line;
        const char* word;
    };

    const Row rows[] = {
        {{"peer", "--bogus"}, "--bogus"},
        {{"peer", "stray"}, "stray"},
        {{"peer", "--batch"}, "--batch"},
        {{"peer", "--batch", "many"}, "many"},
        {{"peer", "--batch", "-1"}, "-1"},
        {{"peer", "--batch", "4294967296"}, "4294967296"},
        {{"peer", "--batch", "1.5"}, "1.5"},
        {{"peer", "--batch", "8", "--batch", "9"}, "--batch"},
        {{"peer", "--wait-for", "-1"}, "-1"},
        {{"peer", "--seed", "-1"}, "-1"},
        {{"peer", "--seed", "18446744073709551616"}, "18446744073709551616"},
        {{"peer", "--threads", "two"}, "two"},
        {{"peer", "--settle", "small"}, "small"},
        {{"peer", "--for", "3 weeks"}, "--for"},
        {{"peer", "--for", "nans"}, "--for"},
        {{"--config", "/nowhere.toml", "peer"}, "/nowhere.toml"},
    };
    for (const auto& row : rows) {
        const auto error = parse(row.line).error;
        EXPECT_NE(error.find(row.word), std::string::npos)
            << row.line.back() << ": '" << error << "'";
    }
}

TEST_F(PeerFlags, ASlipInAFileIsAnErrorThatNamesIt) {
    struct Row {
        const char* text;
        const char* word;
    };

    const Row rows[] = {
        {"[peer]\nbatsh = 5\n", "batsh"},
        {"batsh = 5\n", "batsh"},
        {"[pear]\nbatch = 5\n", "pear"},
        {"[peer]\nbatch = many\n", "many"},
        {"[peer]\nbatch = -1\n", "-1"},
        {"[peer]\nsync = maybe\n", "maybe"},
        {"[peer]\nfor = 5\n", "--for"},
    };
    for (const auto& row : rows) {
        const auto error = parse_file(row.text).error;
        EXPECT_NE(error.find(row.word), std::string::npos) << row.text << ": '" << error << "'";
    }
}

}  // namespace
}  // namespace starling::peer
