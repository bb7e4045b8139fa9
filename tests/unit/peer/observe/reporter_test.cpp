// Goal: the lines that scripts rely on are one JSON object each with the same keys always, and
// nothing that a stranger or a file system names can break a line. Method: capture stdout and read
// it back.

#include "peer/observe/reporter.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/printable.hpp"

namespace starling::peer {
namespace {

using nlohmann::json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Returns what `print` writes to stdout with a new reporter.
template <class Print>
std::string printed(bool with_json, Print print) {
    Reporter reporter(with_json);
    PeerId self;
    self.bytes.fill(0xab);
    reporter.set_self(self);
    ::testing::internal::CaptureStdout();
    try {
        print(reporter);
    } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
    }
    reporter.flush();
    return ::testing::internal::GetCapturedStdout();
}

/// Returns the one object that `print` writes.
template <class Print>
json object(Print print) {
    const auto text = printed(true, print);
    EXPECT_EQ(text.find('\n'), text.size() - 1) << "one line: " << text;
    auto parsed = json::parse(text, nullptr, false);
    EXPECT_TRUE(parsed.is_object()) << text;
    return parsed;
}

template <class Print>
std::string sentence(Print print) {
    return printed(false, print);
}

std::set<std::string> keys(const json& object) {
    std::set<std::string> names;
    for (const auto& [name, value] : object.items()) names.insert(name);
    return names;
}

SwarmId swarm() {
    SwarmId id;
    id.bytes.fill(0xcd);
    return id;
}

ProgressLine trained() {
    ProgressLine line;
    line.record.state = PeerState::Training;
    line.record.steps = 8;
    line.record.samples = 512;
    line.record.samples_per_s = 1000;
    line.record.loss = 0.5F;
    line.record.accuracy = 0.75F;
    line.record.quality = {compute::QualityKind::Auc, 0.875};
    line.record.spread = 0.25F;
    line.record.exchanges = 3;
    line.record.shards = 4;
    line.record.held = 5;
    line.record.round = 1;
    line.members = 2;
    line.swarm_samples = 1024;
    line.target = true;
    line.test_loss = 1.5;
    line.longest_step = std::chrono::milliseconds(20);
    return line;
}

TEST(Reporter, EventsHaveTheKeysThatScriptsRead) {
    EXPECT_EQ(
        object([](Reporter& r) { r.founded(swarm(), "mlp?hidden=8", 100); }),
        (json{
            {"event", "founded"},
            {"swarm", swarm().hex()},
            {"model", "mlp?hidden=8"},
            {"parameters", 100}})
    );
    EXPECT_EQ(
        object([](Reporter& r) { r.joined(swarm(), "cnn", "127.0.0.1:1"); }),
        (json{
            {"event", "joined"}, {"swarm", swarm().hex()}, {"model", "cnn"}, {"via", "127.0.0.1:1"}}
        )
    );
    EXPECT_EQ(
        object([](Reporter& r) { r.resumed(swarm(), 7); }),
        (json{{"event", "resumed"}, {"swarm", swarm().hex()}, {"steps", 7}})
    );
    EXPECT_EQ(
        object([](Reporter& r) { r.member("failed", PeerId{}, ""); }),
        (json{{"event", "member"}, {"what", "failed"}, {"id", PeerId{}.hex()}, {"name", nullptr}})
    );
    EXPECT_EQ(
        object([](Reporter& r) { r.member("up", PeerId{}, "attic"); }),
        (json{{"event", "member"}, {"what", "up"}, {"id", PeerId{}.hex()}, {"name", "attic"}})
    );
    EXPECT_EQ(object([](Reporter& r) { r.left(); }), (json{{"event", "left"}}));
    const auto listening = object([](Reporter& r) { r.listening("1.2.3.4:5", "[::1]:6"); });
    EXPECT_EQ(keys(listening), (std::set<std::string>{"event", "http", "id", "listen"}));
    EXPECT_EQ(listening["id"].get<std::string>().substr(0, 4), "abab");
}

TEST(Reporter, ProgressHasEachNumberOrNullUnderTheSameKeys) {
    const auto full = object([](Reporter& r) { r.progress(trained()); });
    const json expected{
        {"event", "progress"},
        {"id", full["id"]},
        {"state", "training"},
        {"steps", 8},
        {"samples", 512},
        {"samples_per_s", 1000.0},
        {"loss", 0.5},
        {"accuracy", 0.75},
        {"quality", {{"auc", 0.875}}},
        {"test_loss", 1.5},
        {"spread", 0.25},
        {"exchanges", 3},
        {"bytes", 0},
        {"ghost", false},
        {"shards", 4},
        {"held", 5},
        {"members", 2},
        {"swarm_samples", 1024},
        {"round", 1},
        {"target", true},
        {"waiting", nullptr},
        {"longest_step_ms", 20.0}};
    EXPECT_EQ(full, expected);
    const auto fresh = object([](Reporter& r) { r.progress({}); });
    EXPECT_EQ(keys(fresh), keys(full));
    for (const auto* name : {"loss", "accuracy", "quality", "test_loss", "longest_step_ms"})
        EXPECT_EQ(fresh[name], nullptr);
    auto line = trained();
    line.record.loss = std::numeric_limits<float>::quiet_NaN();
    line.record.accuracy = std::numeric_limits<float>::infinity();
    line.record.spread = std::numeric_limits<float>::infinity();
    line.record.samples_per_s = -std::numeric_limits<float>::infinity();
    line.test_loss = kNan;
    const auto broken = object([&line](Reporter& r) { r.progress(line); });
    EXPECT_EQ(keys(broken), keys(full));
    for (const auto* name : {"loss", "accuracy", "spread", "samples_per_s", "test_loss"}) {
        EXPECT_EQ(broken[name], nullptr) << name;
    }
}

TEST(Reporter, TheFinalLineHasEachNumberOrNullUnderTheSameKeys) {
    FinalLine line{
        0.9,
        0.25,
        {{compute::QualityKind::Auc, 0.75}},
        "test",
        0.9375,
        640,
        10,
        1e-4,
        2.5,
        4096,
        3,
        "/s/checkpoint",
        0.75,
        0.5};
    const auto full = object([&line](Reporter& r) { r.finished(line); });
    const json expected{
        {"event", "final"},
        {"id", full["id"]},
        {"accuracy", 0.9},
        {"loss", 0.25},
        {"qualities", {{"auc", 0.75}}},
        {"split", "test"},
        {"goal", 0.9375},
        {"samples", 640},
        {"steps", 10},
        {"spread", 1e-4},
        {"seconds", 2.5},
        {"bytes", 4096},
        {"exchanges", 3},
        {"model", "/s/checkpoint"},
        {"share", 0.75},
        {"judged", 0.5}};
    EXPECT_EQ(full, expected);
    line.loss = kInfinity;
    line.spread = kNan;
    line.accuracy = std::nullopt;
    line.goal = std::nullopt;
    line.share = std::nullopt;
    line.judged = std::nullopt;
    line.model.clear();
    const auto broken = object([&line](Reporter& r) { r.finished(line); });
    EXPECT_EQ(keys(broken), keys(full));
    for (const auto* name : {"loss", "spread", "accuracy", "goal", "share", "judged"})
        EXPECT_EQ(broken[name], nullptr);
    EXPECT_EQ(broken["model"], "");
}

// A founder chooses the name of a model file, and a user that of a directory.
const std::vector<std::string> kStrange = {
    "onnx:caf\xe9.onnx",          // Latin-1
    "onnx:\xff\xfe\x80",          // no text in any way
    "onnx:a\"b\\c.onnx",          // what JSON must escape
    "onnx:a\nstarling: b",        // a second line
    "onnx:\x1b[2J\x07\x7f.onnx",  // what clears a terminal
    std::string("onnx:a\0b", 8),  // what ends a C string
    "onnx:\xc2\x9b[2J",           // a control character beyond ASCII, in UTF-8
    "onnx:\xe2\x80\xaexnno.a",    // what turns the text around
    "onnx:\xe2\x80\x8b.onnx",     // what nobody sees
};

TEST(Reporter, NoNameBreaksALineForPrograms) {
    for (const auto& name : kStrange) {
        EXPECT_EQ(object([&](Reporter& r) { r.founded(swarm(), name, 1); })["event"], "founded");
        EXPECT_EQ(object([&](Reporter& r) { r.joined(swarm(), name, "a"); })["event"], "joined");
        FinalLine line;
        line.model = name;
        EXPECT_EQ(object([&](Reporter& r) { r.finished(line); })["event"], "final");
    }
    const auto quoted = object([](Reporter& r) { r.founded(swarm(), kStrange[2], 1); });
    EXPECT_EQ(quoted["model"], kStrange[2]);
}

TEST(Reporter, NoNameBreaksALineForPeopleOrTheirTerminal) {
    for (const auto& name : kStrange) {
        for (const auto& text :
             {sentence([&](Reporter& r) { r.founded(swarm(), name, 1); }),
              sentence([&](Reporter& r) { r.joined(swarm(), name, "a"); })}) {
            EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
            for (const char c : text.substr(0, text.size() - 1)) {
                const auto byte = static_cast<unsigned char>(c);
                EXPECT_TRUE(byte >= 0x20 && byte != 0x7f) << static_cast<int>(byte);
            }
            EXPECT_EQ(printable(text.substr(0, text.size() - 1)) + "\n", text)
                << "UTF-8, all visible";
        }
    }
}

TEST(Reporter, PeopleReadSentences) {
    EXPECT_EQ(
        sentence([](Reporter& r) { r.joined(swarm(), "cnn", "h:1"); }),
        "joined swarm " + swarm().short_string() + " (\"cnn\") by h:1\n"
    );
    EXPECT_EQ(
        sentence([](Reporter& r) { r.resumed(swarm(), 7); }),
        "resumed swarm " + swarm().short_string() + " after 7 steps\n"
    );
    EXPECT_EQ(sentence([](Reporter& r) { r.left(); }), "left the swarm\n");
    EXPECT_EQ(sentence([](Reporter& r) { r.member("up", PeerId{}, ""); }), "member 00000000: up\n");
    EXPECT_EQ(
        sentence([](Reporter& r) { r.member("failed", PeerId{}, "attic"); }),
        "member attic (00000000): failed\n"
    );
    EXPECT_EQ(
        sentence([](Reporter& r) { r.progress(trained()); }),
        "training: step 8, 1000 samples/s, loss 0.5000, test loss 1.5000, accuracy 0.7500, "
        "auc 0.8750, "
        "spread 2.50e-01, 3 exchanges, 2 members\n"
    );
    EXPECT_EQ(
        sentence([](Reporter& r) {
            r.finished(
                {0.9,
                 0.25,
                 {{compute::QualityKind::Auc, 0.75}},
                 {},
                 {},
                 640,
                 10,
                 1e-4,
                 2.5,
                 4096,
                 3,
                 "/s/checkpoint"}
            );
        }),
        "finished after 2.5 s: accuracy 0.9000, test loss 0.2500, auc 0.7500, 640 samples in 10 "
        "steps, 3 "
        "exchanges, "
        "distance to the last partner 1.00e-04; model in /s/checkpoint\n"
    );
    FinalLine last;
    last.share = 2.0 / 3.0;
    const auto told = sentence([&](Reporter& r) { r.finished(last); });
    EXPECT_NE(told.find("; 66.7 % of all samples took part to the last\n"), std::string::npos)
        << told;
}

TEST(Reporter, PeopleReadNoNumberThatIsNotKnown) {
    ProgressLine line;
    line.members = 1;
    EXPECT_EQ(sentence([&line](Reporter& r) { r.progress(line); }), "joining: 1 member\n");
    line.waiting = "parameters from 3 peers (41 of 87 MB), for 12 s";
    line.members = 4;
    EXPECT_EQ(
        sentence([&line](Reporter& r) { r.progress(line); }),
        "joining: waiting for parameters from 3 peers (41 of 87 MB), for 12 s, 4 members\n"
    );
    const auto same = object([&line](Reporter& r) { r.progress(line); });
    EXPECT_EQ(same["waiting"], line.waiting);
}

TEST(Reporter, AFounderTellsPeopleHowOthersJoin) {
    const auto text =
        sentence([](Reporter& r) { r.invite("127.0.0.1:7301", "a/swarm.key", true); });
    const std::string line = "starling peer --join 127.0.0.1:7301 --key a/swarm.key\n";
    EXPECT_NE(text.find(line), std::string::npos) << text;
    EXPECT_NE(text.find("127.0.0.1:7301 serves this machine only"), std::string::npos) << text;
    const auto open = sentence([](Reporter& r) { r.invite("10.0.0.1:7301", "", false); });
    EXPECT_EQ(open, "others join with: starling peer --join 10.0.0.1:7301\n");
    EXPECT_EQ(printed(true, [](Reporter& r) { r.invite("127.0.0.1:1", "", true); }), "");
    EXPECT_EQ(printed(true, [](Reporter& r) { r.busy("reading idx:d"); }), "");
}

TEST(Reporter, PeopleGetEachChangeOfStateAndEachFifthLine) {
    const auto lines = [](bool with_json) {
        const auto text = printed(with_json, [](Reporter& r) {
            for (int i = 0; i < 10; ++i) r.progress(trained());
            auto settling = trained();
            settling.record.state = PeerState::Settling;
            r.progress(settling);
        });
        return std::count(text.begin(), text.end(), '\n');
    };
    EXPECT_EQ(lines(false), 3);
    EXPECT_EQ(lines(true), 11);
}

}  // namespace
}  // namespace starling::peer
