// Goal: a configuration that cannot work is refused before anything starts, in one line that names
// the flag, the value and what is allowed; every value at the edge of its range is taken. Method:
// tables of one change each to a configuration that is right.

#include "peer/terms/config.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace starling::peer {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Change {
    const char* name;    ///< for a wrong value the flag, with which the message begins
    const char* advice;  ///< what the message must contain; for a right value unused
    void (*make)(PeerConfig&);
};

PeerConfig founder() {
    PeerConfig config;
    config.dataset = "idx:somewhere";
    return config;
}

constexpr Change kWrong[] = {
    {"--batch", "1 to 65536", [](auto& c) { c.batch = 0; }},
    {"--batch", "1 to 65536", [](auto& c) { c.batch = 65537; }},
    {"--mix-every", "at least 1", [](auto& c) { c.mix_every = "0"; }},
    {"--mix-every", "auto", [](auto& c) { c.mix_every = ""; }},
    {"--mix-every", "500ms", [](auto& c) { c.mix_every = "-500ms"; }},
    {"--mix-every", "500ms", [](auto& c) { c.mix_every = "4294967296"; }},
    {"--mix-every", "counts steps", [](auto& c) { c.mix_every = "1s", c.sync = true; }},
    {"--mix-every", "noloco", [](auto& c) { c.mix_every = "1s", c.mix = "noloco"; }},
    {"--mix", "name?key=value", [](auto& c) { c.mix = ""; }},
    {"--mix", "pairwise", [](auto& c) { c.mix = "pull"; }},
    {"--mix", "from 0 to", [](auto& c) { c.mix = "noloco?alpha=nan"; }},
    {"--encoding", "lattice8", [](auto& c) { c.encoding = ""; }},
    {"--encoding", "lattice8", [](auto& c) { c.encoding = "exact64"; }},
    {"--mix", "bf16", [](auto& c) { c.mix = "push-sum", c.encoding = "lattice4"; }},
    {"--share", "%", [](auto& c) { c.share = ""; }},
    {"--share", "%", [](auto& c) { c.share = "0%"; }},
    {"--share", "%", [](auto& c) { c.share = "101%"; }},
    {"--share", "%", [](auto& c) { c.share = "nan%"; }},
    {"--upload-limit", "10Mbit", [](auto& c) { c.upload_limit = "10"; }},
    {"--cache", "10GB", [](auto& c) { c.cache = "10"; }},
    {"--cache", "10GB", [](auto& c) { c.cache = "nanGB"; }},
    {"--cache", "10GB", [](auto& c) { c.cache = "-1GB"; }},
    {"--upload-limit", "10Mbit", [](auto& c) { c.upload_limit = "nanMB"; }},
    {"--weight-max", "power of two", [](auto& c) { c.weight_max = 0; }},
    {"--weight-max", "power of two", [](auto& c) { c.weight_max = 100; }},
    {"--weight-max", "1 to 65536", [](auto& c) { c.weight_max = 131072; }},
    {"--checkpoint-every", "90s", [](auto& c) { c.checkpoint_every = "often"; }},
    {"--checkpoint-every", "1s or more", [](auto& c) { c.checkpoint_every = "10ms"; }},
    {"--keep", "1 to 100", [](auto& c) { c.keep = 0; }},
    {"--keep", "1 to 100", [](auto& c) { c.keep = 101; }},
    {"--precision", "bf16", [](auto& c) { c.precision = ""; }},
    {"--precision", "bf16", [](auto& c) { c.precision = "f16"; }},
    {"--device", "cpu", [](auto& c) { c.device = "gpu"; }},
    {"--settle", "between 0 and 1", [](auto& c) { c.settle = 0; }},
    {"--settle", "between 0 and 1", [](auto& c) { c.settle = 1; }},
    {"--settle", "between 0 and 1", [](auto& c) { c.settle = -1e-3; }},
    {"--settle", "between 0 and 1", [](auto& c) { c.settle = kNan; }},
    {"--threads", "4096", [](auto& c) { c.threads = -1; }},
    {"--threads", "4096", [](auto& c) { c.threads = 4097; }},
    {"--model", "gpt", [](auto& c) { c.model = "gtp"; }},
    {"--model", "layers,heads,dim", [](auto& c) { c.model = "gpt?width=16"; }},
    {"--model", "it takes loss", [](auto& c) { c.model = "onnx:net.onnx?batch=1"; }},
    {"--optimizer", "name?key=value", [](auto& c) { c.optimizer = ""; }},
    {"--optimizer", "adamw", [](auto& c) { c.optimizer = "adam"; }},
    {"--optimizer", "lr", [](auto& c) { c.optimizer = "sgd?rate=1"; }},
    {"--optimizer", "lr", [](auto& c) { c.optimizer = "sgd?lr=nan"; }},
    {"--optimizer", "lr", [](auto& c) { c.optimizer = "sgd?lr=-1"; }},
    {"--augment", "flop", [](auto& c) { c.augment = "flip,flop"; }},
    {"--class-weights", "balanced", [](auto& c) { c.class_weights = "even"; }},
    {"--class-weights", "none", [](auto& c) { c.class_weights = ""; }},
    {"--partition", "dirichlet", [](auto& c) { c.partition = "sorted"; }},
    {"--partition", "alpha", [](auto& c) { c.partition = "dirichlet?owners=2&alpha=0"; }},
    {"--partition", "owners", [](auto& c) { c.partition = "iid?owners=0"; }},
    {"--wait-for", "1 to 65536", [](auto& c) { c.wait_for = 0; }},
    {"--wait-for", "1 to 65536", [](auto& c) { c.wait_for = 65537; }},
    {"--until", "steps=N", [](auto& c) { c.until = "tuesday"; }},
    {"--until", "steps=N", [](auto& c) { c.until = "steps=0"; }},
    {"--until", "0 to 1", [](auto& c) { c.until = "accuracy=1.01"; }},
    {"--until", "loss, bpb", [](auto& c) { c.until = "loss=nan"; }},
    {"--until", "steps=N", [](auto& c) { c.until = "steps=5&samples=5"; }},
    {"--advertise", "others", [](auto& c) { c.advertise = "10.0.0.1:0"; }},
    {"--advertise", "others", [](auto& c) { c.advertise = "0.0.0.0:7000"; }},
    {"--advertise", "others", [](auto& c) { c.advertise = "[::]:7000"; }},
    {"--join",
     "1 to 65535",
     [](auto& c) {
         c.join = {"a:1", "10.0.0.1:0"};
     }},
    {"--profile", "wan", [](auto& c) { c.profile = "moon"; }},
    {"--profile", "wan", [](auto& c) { c.profile = ""; }},
    {"--membership-only", "--dataset", [](auto& c) { c.membership_only = true; }},
    {"nothing to train on", "--join", [](auto& c) { c.dataset = ""; }},
};

TEST(PeerConfig, EachWrongValueIsRefusedInOneLineThatNamesItsFlagAndWhatIsAllowed) {
    for (const auto& wrong : kWrong) {
        auto config = founder();
        wrong.make(config);
        const auto checked = validate(config);
        ASSERT_TRUE(checked.has_error()) << wrong.name << ", " << wrong.advice;
        const auto& fault = checked.error();
        EXPECT_EQ(fault.code, FaultCode::Usage) << fault.message;
        EXPECT_EQ(fault.message.rfind(wrong.name, 0), 0U) << wrong.name << ": " << fault.message;
        EXPECT_NE(fault.message.find(wrong.advice), std::string::npos) << fault.message;
        EXPECT_EQ(fault.message.find('\n'), std::string::npos) << fault.message;
    }
}

constexpr Change kRight[] = {
    {"the smallest batch", "", [](auto& c) { c.batch = 1; }},
    {"the largest batch", "", [](auto& c) { c.batch = 65536; }},
    {"an exchange after each step", "", [](auto& c) { c.mix_every = "1"; }},
    {"an exchange now and then", "", [](auto& c) { c.mix_every = "2h"; }},
    {"rounds without a number of steps", "", [](auto& c) { c.mix_every = "auto", c.sync = true; }},
    {"all cores", "", [](auto& c) { c.threads = 0; }},
    {"many threads", "", [](auto& c) { c.threads = 4096; }},
    {"waiting for many", "", [](auto& c) { c.wait_for = 65536; }},
    {"a loose end", "", [](auto& c) { c.settle = 0.999; }},
    {"a tight end", "", [](auto& c) { c.settle = 1e-9; }},
    {"no averaging", "", [](auto& c) { c.mix = "none"; }},
    {"a whole accuracy", "", [](auto& c) { c.until = "accuracy=1"; }},
    {"no target", "", [](auto& c) { c.until = ""; }},
    {"even pairs", "", [](auto& c) { c.weight_max = 1; }},
    {"the most unlike pairs", "", [](auto& c) { c.weight_max = 65536; }},
    {"a slow uplink", "", [](auto& c) { c.upload_limit = "8kbit"; }},
    {"members only", "", [](auto& c) { c.membership_only = true, c.dataset = ""; }},
    {"a joiner without data", "", [](auto& c) { c.join = {"a:1"}, c.dataset = ""; }},
    {"a joiner with data", "", [](auto& c) { c.join = {"a:1"}; }},
    {"a peer that may resume", "", [](auto& c) { c.state = "/s", c.dataset = ""; }},
    {"an address behind a router", "", [](auto& c) { c.advertise = "10.0.0.1:7000"; }},
    {"a name for others", "", [](auto& c) { c.advertise = "example.org:7000"; }},
    {"other timing", "", [](auto& c) { c.profile = "wan"; }},
};

TEST(PeerConfig, TheDefaultsAndTheEdgesOfEachRangeAreTaken) {
    EXPECT_TRUE(validate(founder()).has_value());
    for (const auto& right : kRight) {
        auto config = founder();
        right.make(config);
        const auto checked = validate(config);
        EXPECT_TRUE(checked.has_value()) << right.name << ": " << checked.error().message;
    }
}

TEST(Durations, AreReadInTheUnitsThatPeopleWrite) {
    EXPECT_EQ(*parse_duration("500ms"), std::chrono::milliseconds(500));
    EXPECT_EQ(*parse_duration("90s"), std::chrono::seconds(90));
    EXPECT_EQ(*parse_duration("1.5m"), std::chrono::seconds(90));
    EXPECT_EQ(*parse_duration("2h"), std::chrono::hours(2));
}

TEST(Durations, WhatIsNoTimeIsRefusedAndQuoted) {
    for (const char* text :
         {"",
          "s",
          "90",
          "90 s",
          "3 weeks",
          "0s",
          "-5s",
          "1d",
          "1S",
          "infs",
          "nans",
          "nanh",
          "1e300h",
          "1e-12s",
          "5s5s",
          "0x10s"}) {
        const auto parsed = parse_duration(text);
        ASSERT_TRUE(parsed.has_error()) << text;
        EXPECT_EQ(parsed.error().code, FaultCode::Usage);
        const auto& message = parsed.error().message;
        EXPECT_EQ(message.rfind("'" + std::string(text) + "' is not", 0), 0U) << message;
        EXPECT_NE(message.find("90s, 5m or 2h"), std::string::npos) << message;
    }
}

}  // namespace
}  // namespace starling::peer
