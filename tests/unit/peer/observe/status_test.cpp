// Goal: /status is one JSON object whose keys, kinds and words programs can rely on, whatever a
// peer says of itself. Method: give plain values and read the text back with a JSON parser.

#include "peer/observe/status.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace starling::peer {
namespace {

using nlohmann::json;

StatusInputs inputs() {
    StatusInputs in;
    in.id.bytes.fill(0xab);
    in.swarm.bytes.fill(0xcd);
    in.listen = *Endpoint::parse("127.0.0.1:7000");
    in.http = *Endpoint::parse("[::1]:8080");
    in.incarnation.epoch = 7;
    return in;
}

SeenPeer peer(std::uint8_t number, membership::MemberState state) {
    SeenPeer seen;
    seen.id.bytes.fill(number);
    seen.address = Endpoint::v4(0x0a000000U + number, 7000);
    seen.state = state;
    return seen;
}

json status(const StatusInputs& in) {
    const auto text = render_status(in);
    EXPECT_EQ(text.find('\n'), std::string::npos) << "one line";
    return json::parse(text);
}

std::set<std::string> keys(const json& object) {
    std::set<std::string> names;
    for (const auto& [name, value] : object.items()) names.insert(name);
    return names;
}

const std::set<std::string> kMemberKeys{
    "address", "heard_s_ago", "id", "name", "reachable", "self", "state", "udp"};
const std::set<std::string> kRecordKeys{
    "accuracy",
    "exchanges",
    "ghost",
    "learned",
    "held",
    "loss",
    "quality",
    "round",
    "samples",
    "shards",
    "spread",
    "samples_per_s",
    "steps",
    "test_loss",
    "training"};

TEST(Status, ACheckpointThatCannotBeWrittenIsSaidWithItsReason) {
    auto in = inputs();
    in.session.emplace();
    EXPECT_EQ(status(in)["checkpoints"]["error"], nullptr);
    in.session->checkpoints.written = 4;
    in.session->checkpoints.failed = 2;
    in.session->checkpoints.error = "/d/\xff/checkpoint: no room";
    const auto told = status(in)["checkpoints"];
    EXPECT_EQ(told["written"], 4);
    EXPECT_EQ(told["failed"], 2);
    EXPECT_NE(told["error"].get<std::string>().find("no room"), std::string::npos);
}

TEST(Status, APeerThatOnlyWatchesShowsItselfAndNoTraining) {
    const auto out = status(inputs());
    EXPECT_EQ(
        keys(out),
        (std::set<std::string>{"http", "id", "listen", "live", "members", "reachable", "swarm"})
    );
    EXPECT_EQ(out["id"], inputs().id.hex());
    EXPECT_EQ(out["swarm"], inputs().swarm.hex());
    EXPECT_EQ(out["listen"], "127.0.0.1:7000");
    EXPECT_EQ(out["http"], "[::1]:8080");
    EXPECT_EQ(out["live"], 1);
    ASSERT_EQ(out["members"].size(), 1U);
    const auto& self = out["members"][0];
    EXPECT_EQ(self["id"], out["id"]);
    EXPECT_EQ(self["address"], out["listen"]);
    EXPECT_EQ(self["state"], "alive");
    EXPECT_EQ(self["self"], true);
    EXPECT_EQ(self["udp"], nullptr);
    EXPECT_EQ(self["epoch"], 7);
}

TEST(Status, TheDeviceIsShownWithItsReasonOnceThereIsAnEngine) {
    auto in = inputs();
    auto& device = in.session.emplace().device;
    EXPECT_EQ(status(in)["device"], nullptr);
    device.name = "cpu";
    device.model = "EPYC";
    device.memory_bytes = 8000;
    device.used_bytes = 500;
    EXPECT_EQ(
        status(in)["device"],
        (json{
            {"name", "cpu"},
            {"model", "EPYC"},
            {"why", nullptr},
            {"memory_bytes", 8000},
            {"used_bytes", 500},
            {"step_seconds", nullptr},
            {"failures", 0}})
    );
    device.why = "opencl:0 (Arc) made a step in 31 ms, the cpu in 12 ms";
    device.step_seconds = 0.012;
    device.failures = 2;
    const auto out = status(in)["device"];
    EXPECT_EQ(out["why"], device.why);
    EXPECT_EQ(out["step_seconds"], 0.012);
    EXPECT_EQ(out["failures"], 2);
}

TEST(Status, AShareOfWhatIsJudgedIsShownWhereThereIsOne) {
    auto in = inputs();
    auto& judging = in.session.emplace().judging;
    EXPECT_FALSE(status(in).contains("judging")) << "everybody holds all of it";
    judging = {12, 24, 100, 200};
    json expected{
        {"portions", 12},
        {"portions_of_all", 24},
        {"bytes", 100},
        {"bytes_of_all", 200},
        {"judged", nullptr},
        {"off", json::array()},
        {"we_differ", false}};
    EXPECT_EQ(status(in)["judging"], expected);
    judging.judged = 0.75;
    judging.off = {in.id};
    expected["judged"] = 0.75;
    expected["off"] = {in.id.hex()};
    EXPECT_EQ(status(in)["judging"], expected);
}

TEST(Status, AWeightIsShownAsWhatItMultipliesBy) {
    auto in = inputs();
    auto& session = in.session.emplace();
    EXPECT_EQ(status(in)["mixing"]["weight"], nullptr) << "its pairs are even";
    session.mixing.weight_log2 = std::int8_t{8};
    EXPECT_EQ(status(in)["mixing"]["weight"], 256.0);
    session.mixing.weight_log2 = std::int8_t{-2};
    EXPECT_EQ(status(in)["mixing"]["weight"], 0.25);
}

TEST(Status, HowOftenAPeerAveragesIsSaidWithItsReason) {
    auto in = inputs();
    auto& mixing = in.session.emplace().mixing;
    mixing.every = "8 steps";
    EXPECT_EQ(status(in)["mixing"], (json{{"weight", nullptr}, {"every", "8 steps"}}));
    mixing.every = "auto";
    mixing.target_spread = 0.05;
    mixing.rate_factor = 2.0;
    auto& interval = mixing.interval.emplace(gossip::Interval::Limits{});
    EXPECT_EQ(status(in)["mixing"]["by"], "start");
    interval.handle_asked(Instant{}, false, true);
    const auto out = status(in)["mixing"];
    EXPECT_EQ(out["learning_rate_times"], 2.0);
    EXPECT_EQ(out["by"], "alone");
    EXPECT_EQ(out["why"], "there is nobody to exchange with");
    EXPECT_EQ(out["interval_seconds"], 0.1);
    EXPECT_EQ(out["cost_share"], 0.0);
    EXPECT_EQ(out["target_spread"], 0.05);
}

TEST(Status, ATrainingPeerShowsItsNumbersBesideThoseOfTheSwarm) {
    auto in = inputs();
    auto& session = in.session.emplace();
    session.swarm_samples = std::numeric_limits<std::uint64_t>::max();
    session.shards_missing = 3;
    session.data_wait = 0.25;
    session.longest_step = std::chrono::milliseconds(12);
    session.record.state = PeerState::Settling;
    session.record.steps = 10;
    session.record.samples = 640;
    session.record.loss = 0.5F;
    session.record.test_loss = 1.75F;
    session.record.accuracy = 0.75F;
    session.record.quality = {compute::QualityKind::Auc, 0.875};
    session.record.samples_per_s = 1000.0F;
    session.record.spread = 0.25F;
    session.record.exchanges = 4;
    session.record.shards = 5;
    session.record.held = 6;
    session.record.round = 2;
    const auto out = status(in);
    EXPECT_EQ(out["swarm_samples"], std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(out["shards_missing"], 3);
    EXPECT_EQ(out["data_wait"], 0.25);
    EXPECT_EQ(out["longest_step_ms"], 12.0);
    const json expected{
        {"training", "settling"},
        {"steps", 10},
        {"samples", 640},
        {"loss", 0.5},
        {"test_loss", 1.75},
        {"accuracy", 0.75},
        {"quality", {{"auc", 0.875}}},
        {"samples_per_s", 1000.0},
        {"spread", 0.25},
        {"exchanges", 4},
        {"shards", 5},
        {"held", 6},
        {"round", 2}};
    for (const auto& [name, value] : expected.items()) {
        EXPECT_EQ(out["members"][0][name], value) << name;
    }
}

TEST(Status, EachStateOfAMemberHasItsWord) {
    auto in = inputs();
    using membership::MemberState;
    in.view.others = {
        peer(1, MemberState::Alive),
        peer(2, MemberState::Suspect),
        peer(3, MemberState::Failed),
        peer(4, MemberState::Left)};
    in.view.live = 3;
    const auto out = status(in);
    EXPECT_EQ(out["live"], 3);
    ASSERT_EQ(out["members"].size(), 5U);
    const char* const words[] = {"alive", "alive", "suspect", "failed", "left"};
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(out["members"][i]["state"], words[i]) << i;
    EXPECT_EQ(out["members"][4]["address"], "10.0.0.4:7000");
    EXPECT_EQ(out["members"][4]["self"], false);
    EXPECT_EQ(keys(out["members"][4]), kMemberKeys) << "a member without a record";
    EXPECT_EQ(out["members"][4]["heard_s_ago"], nullptr);
}

TEST(Status, SaysHowOldIsWhatItSaysOfOthers) {
    auto in = inputs();
    in.view.others = {peer(1, membership::MemberState::Alive)};
    in.view.others[0].record.emplace();
    in.view.others[0].heard = Instant(std::chrono::seconds(40));
    in.now = Instant(std::chrono::seconds(47));
    const auto out = json::parse(render_status(in));
    EXPECT_EQ(out["members"][0]["heard_s_ago"], 0.0) << "ourselves";
    EXPECT_EQ(out["members"][1]["heard_s_ago"], 7.0);
}

TEST(Status, ColumnsStandInTheOrderOfThePageAndNamesAreShown) {
    auto in = inputs();
    in.name = "kitchen-pc";
    in.session.emplace();
    in.view.others = {peer(1, membership::MemberState::Alive)};
    in.view.others[0].record.emplace().name = "attic";
    const auto out = nlohmann::ordered_json::parse(render_status(in));
    EXPECT_EQ(out["members"][0]["name"], "kitchen-pc");
    EXPECT_EQ(out["members"][1]["name"], "attic");
    std::vector<std::string> columns;
    for (const auto& item : out["members"][1].items()) columns.push_back(item.key());
    columns.resize(14);
    const std::vector<std::string> page{
        "id",
        "name",
        "address",
        "state",
        "training",
        "steps",
        "samples_per_s",
        "loss",
        "test_loss",
        "accuracy",
        "quality",
        "spread",
        "exchanges",
        "shards"};
    EXPECT_EQ(columns, page);
}

TEST(Status, EachPhaseOfTrainingHasItsWord) {
    constexpr const char* kWords[] = {
        "joining",
        "training",
        "settling",
        "evaluating",
        "lingering",
        "done",
        "watching",
        "unknown"};
    for (std::size_t i = 0; i < std::size(kWords); ++i) {
        auto in = inputs();
        in.session.emplace().record.state = static_cast<PeerState>(i);
        EXPECT_EQ(status(in)["members"][0]["training"], kWords[i]);
    }
}

TEST(Status, TheDirectionInWhichDatagramsVanishIsNamed) {
    auto in = inputs();
    for (const bool out : {true, false}) {
        for (const bool inward : {true, false}) {
            auto seen = peer(1, membership::MemberState::Alive);
            seen.udp_out = out;
            seen.udp_in = inward;
            in.view.others.push_back(seen);
        }
    }
    const auto members = status(in)["members"];
    EXPECT_EQ(members[1]["udp"], "ok");
    EXPECT_EQ(members[2]["udp"], "in blocked");
    EXPECT_EQ(members[3]["udp"], "out blocked");
    EXPECT_EQ(members[4]["udp"], "in blocked");
}

TEST(Status, WhomNobodyCanDialIsShown) {
    auto in = inputs();
    for (const std::optional<bool> reachable : {std::optional<bool>(), {false}, {true}}) {
        auto seen = peer(1, membership::MemberState::Alive);
        seen.record.emplace().reachable = reachable;
        in.view.others.push_back(seen);
    }
    in.view.others.push_back(peer(1, membership::MemberState::Alive));
    in.reach = Reach::NotReached;
    const auto out = status(in);
    EXPECT_EQ(out["reachable"], false);
    const auto& members = out["members"];
    EXPECT_EQ(members[0]["reachable"], false) << "the peer itself";
    EXPECT_EQ(members[1]["reachable"], nullptr);
    EXPECT_EQ(members[2]["reachable"], false);
    EXPECT_EQ(members[3]["reachable"], true);
    EXPECT_EQ(members[4]["reachable"], nullptr) << "nothing is known of it";
}

TEST(Status, WhatIsUnknownOrNoNumberIsNullAndTheKeyStays) {
    auto in = inputs();
    const Record fresh;
    Record broken;
    broken.steps = 1;
    broken.loss = std::numeric_limits<float>::quiet_NaN();
    broken.test_loss = std::numeric_limits<float>::infinity();
    broken.accuracy = std::numeric_limits<float>::infinity();
    broken.spread = -std::numeric_limits<float>::infinity();
    broken.samples_per_s = std::numeric_limits<float>::quiet_NaN();
    in.session.emplace().record = fresh;
    in.view.others = {peer(1, membership::MemberState::Alive)};
    in.view.others[0].record = broken;
    const auto members = status(in)["members"];
    auto with_record = kMemberKeys;
    with_record.insert(kRecordKeys.begin(), kRecordKeys.end());
    EXPECT_EQ(keys(members[1]), with_record);
    for (const auto* name : {"loss", "test_loss", "accuracy"}) {
        EXPECT_EQ(members[0][name], nullptr) << name << " before the first step";
    }
    EXPECT_EQ(members[0]["spread"], 0.0);
    for (const auto* name : {"loss", "test_loss", "accuracy", "spread", "samples_per_s"}) {
        EXPECT_EQ(members[1][name], nullptr) << name;
    }
}

}  // namespace
}  // namespace starling::peer
