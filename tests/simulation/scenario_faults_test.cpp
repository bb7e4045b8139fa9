// Goal: each action that a scenario has for virtual peers does what its name says, and not nothing: clocks that stand
// elsewhere, liars of each kind, machines that move, disks that are full, read-only or damaged.
// Method: whole peers in virtual time, the actions as a file has them, and what the peers show afterwards.

#include "peer/virtual/scenario_faults.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "peer/scenario/words.hpp"
#include "peer/terms/record.hpp"
#include "peer/transfer/state_wire.hpp"
#include "tests/simulation/simulation.hpp"

namespace starling::simulation {
namespace {

using namespace std::chrono_literals;
using peer_virtual::NodeState;
using peer_virtual::ScenarioFaults;

constexpr std::size_t kPeers = 5;
constexpr std::size_t kElements = 64;

/// Counts what the honest ones see.
class Witness final : public peer_virtual::Observer {
public:
    explicit Witness(const Swarm& swarm) : swarm_(swarm) {}

    void on_rejected(Instant, NodeIndex, const Fault&) override { ++rejected; }

    void on_member_event(Instant, NodeIndex, membership::EventKind kind, NodeIndex) override {
        if (kind == membership::EventKind::Failed || kind == membership::EventKind::Left) ++deaths;
        if (kind == membership::EventKind::Moved) ++moves;
    }

    void on_checkpoint(Instant, NodeIndex at, const peer::Checkpoint& checkpoint, bool whole)
        override {
        if (whole) written[at] = checkpoint.steps;
        if (whole) ++checkpoints[at];
    }

    /// Compares what newcomers get with what the donor has.
    void on_transfer_sent(Instant, const peer_virtual::TransferFrame& frame) override {
        if (frame.type != peer::FrameType::StateChunk) return;
        ByteReader reader(frame.payload);
        const std::size_t chunk = reader.take<std::uint32_t>();
        const auto status = reader.take<peer::ChunkStatus>();
        if (status == peer::ChunkStatus::Busy) return;
        const bool piece = status == peer::ChunkStatus::Piece;
        const std::size_t offset = piece ? reader.take<std::uint32_t>() : 0;
        const auto given = reader.take_bytes(reader.remaining());
        const auto has = std::as_bytes(std::span(swarm_.floats(frame.from).values()));
        const auto from = chunk * kElements * sizeof(float) + offset;
        const bool truly = std::ranges::equal(given, has.subspan(from, given.size()));
        ++(truly ? true_chunks : false_chunks)[frame.from];
    }

    std::uint64_t rejected = 0;
    std::uint64_t deaths = 0;
    std::uint64_t moves = 0;
    std::map<NodeIndex, std::uint64_t> written;
    std::map<NodeIndex, std::uint64_t> checkpoints;
    std::map<NodeIndex, std::uint64_t> true_chunks;
    std::map<NodeIndex, std::uint64_t> false_chunks;

private:
    const Swarm& swarm_;
};

peer_virtual::SwarmOptions whole_peers(std::uint64_t seed) {
    peer_virtual::SwarmOptions options;
    options.peers = kPeers;
    options.seed = seed;
    options.clock_start = 2h;
    peer_virtual::AveragingOptions averaging;
    averaging.config.encoding = gossip::Encoding::F32;
    averaging.floats = peer_virtual::FloatVector::Shape{16, kElements, 0.05};
    options.averaging = averaging;
    options.training.emplace().checkpoint_every = 2s;
    return options;
}

class ScenarioActions : public testing::Test {
protected:
    ScenarioActions() : swarm_(whole_peers(7)), faults_(swarm_, scenario()), witness_(swarm_) {
        swarm_.observe(witness_);
    }

    static const scenario::Scenario& scenario() {
        static const scenario::Scenario made = [] {
            scenario::Scenario one;
            one.peers = kPeers;
            one.seed = 7;
            return one;
        }();
        return made;
    }

    /// Starts all but the last `absent` ones and waits until all train and list all.
    void form(std::size_t absent = 0) {
        for (NodeIndex node = 0; node + absent < kPeers; ++node) {
            faults_.start(node, node == 0 ? std::vector<NodeIndex>{} : std::vector<NodeIndex>{0});
            faults_.advance(100ms);
        }
        ASSERT_TRUE(until([this] { return all_train(); }));
    }

    [[nodiscard]] bool trains(NodeIndex node) const {
        if (!swarm_.exists(node) || swarm_.session(node) == nullptr) return false;
        return swarm_.session(node)->session().record().state == peer::PeerState::Training;
    }

    [[nodiscard]] bool all_train() const {
        const auto running = swarm_.running();
        return swarm_.whole() && std::all_of(running.begin(), running.end(), [this](NodeIndex n) {
                   return trains(n);
               });
    }

    bool until(const std::function<bool()>& holds, Duration longest = 60s) {
        for (Duration waited{}; waited < longest; waited += 100ms) {
            if (holds()) return true;
            faults_.advance(100ms);
        }
        return holds();
    }

    scenario::Action action(const std::string& text) {
        auto parsed = scenario::parse_action(text);
        EXPECT_TRUE(parsed.has_value()) << text;
        return *std::move(parsed);
    }

    void act(const std::string& text) {
        const auto done = faults_.act(action(text));
        EXPECT_TRUE(done.has_value()) << text << ": " << done.error().message;
    }

    void undo(const std::string& text) { EXPECT_TRUE(faults_.undo(action(text)).has_value()); }

    [[nodiscard]] std::uint64_t steps(NodeIndex node) const {
        return swarm_.session(node)->session().record().steps;
    }

    [[nodiscard]] std::uint64_t exchanges(NodeIndex node) const {
        return swarm_.averager(node).counters().committed;
    }

    Swarm swarm_;
    ScenarioFaults faults_;
    Witness witness_;
};

TEST_F(ScenarioActions, AClockThatJumpsStaysAheadAndGoesOn) {
    form();
    const auto before = swarm_.local(2);
    const auto others = swarm_.local(1);
    act("clock peer 3 +1h");
    EXPECT_EQ(swarm_.local(2) - before, 1h);
    EXPECT_EQ(swarm_.local(1), others);
    // Timers fire by this clock, neither at once for ever nor an hour late.
    const auto made = exchanges(2);
    const auto trained = steps(2);
    for (int i = 0; i < 100; ++i) {
        const auto last = swarm_.local(2);
        faults_.advance(100ms);
        ASSERT_EQ(swarm_.local(2) - last, 100ms);
    }
    EXPECT_GT(steps(2), trained + 100);
    EXPECT_GT(exchanges(2), made + 5);
    EXPECT_TRUE(swarm_.whole());
    EXPECT_EQ(witness_.deaths, 0U);
}

TEST_F(ScenarioActions, WhatAPeerWaitsForIsDueAtOnceWhenItsClockJumps) {
    form();
    const auto written = [this] { return witness_.checkpoints[2]; };
    const auto first = written();
    ASSERT_TRUE(until([&] { return written() > first; }));
    // The next one would be due in two seconds.
    act("clock peer 3 +1h");
    EXPECT_TRUE(until([&] { return written() > first + 1; }, 1s));
}

TEST_F(ScenarioActions, AClockGoesBackOverARestartAndTheCheckpointIsUsed) {
    form();
    ASSERT_TRUE(until([this] { return witness_.checkpoints[1] >= 2; }));
    act("kill peer 2");
    const auto before = swarm_.local(1);
    act("clock peer 2 -90m");
    EXPECT_EQ(before - swarm_.local(1), 90min);
    const auto kept = witness_.written[1];
    act("restart peer 2");
    ASSERT_TRUE(until([this] { return all_train(); }));
    EXPECT_GE(steps(1), kept);
    EXPECT_TRUE(swarm_.session(1)->resumed().has_value());
    const auto written = witness_.checkpoints[1];
    EXPECT_TRUE(until([&] { return witness_.checkpoints[1] > written; }, 10s));
}

TEST_F(ScenarioActions, FramesOfALiarAreRejectedAndItIsStillAMember) {
    form();
    faults_.advance(5s);
    EXPECT_EQ(witness_.rejected, 0U);
    act("liar peer 5 frames");
    faults_.advance(20s);
    EXPECT_GT(witness_.rejected, 0U);
    undo("liar peer 5 frames");
    faults_.advance(2s);
    const auto rejected = witness_.rejected;
    faults_.advance(10s);
    EXPECT_EQ(witness_.rejected, rejected) << "it lies no more";
    EXPECT_TRUE(swarm_.whole());
}

TEST_F(ScenarioActions, ALiarAboutMembersIsHeardAndNotBelieved) {
    form();
    const auto forged = [this] {
        std::uint64_t sum = 0;
        for (NodeIndex node = 0; node + 1 < kPeers; ++node)
            sum += swarm_.swim(node).counters().forged;
        return sum;
    };
    EXPECT_EQ(forged(), 0U);
    act("liar peer 5 members");
    faults_.advance(10s);
    EXPECT_GT(forged(), 0U);
    EXPECT_EQ(witness_.deaths, 0U);
    EXPECT_EQ(witness_.moves, 0U);
    undo("liar peer 5 members");
    EXPECT_TRUE(until([this] { return swarm_.whole(); }, 20s));
}

TEST_F(ScenarioActions, ALiarAboutRecordsIsHeardAndAllTrainOn) {
    form();
    act("liar peer 5 records");
    faults_.advance(10s);
    const auto bytes = swarm_.swim(0).signed_record(swarm_.id(4));
    const auto record = peer::decode_record(bytes);
    ASSERT_TRUE(record.has_value());
    EXPECT_EQ(record->samples, std::uint64_t{1} << 62U);
    const auto before = steps(0);
    faults_.advance(5s);
    EXPECT_GT(steps(0), before);
    undo("liar peer 5 records");
    // Others hear its true words again.
    EXPECT_TRUE(until(
        [this] {
            const auto now = peer::decode_record(swarm_.swim(0).signed_record(swarm_.id(4)));
            return now && now->samples < 1'000'000;
        },
        20s
    ));
}

TEST_F(ScenarioActions, ALiarAboutParametersGivesANewcomerOthersThanItHas) {
    form(1);
    EXPECT_TRUE(witness_.false_chunks.empty());
    EXPECT_FALSE(witness_.true_chunks.empty());
    act("liar peer 1,2 parameters");
    faults_.start(4, {1});
    ASSERT_TRUE(until([this] { return all_train(); }));
    EXPECT_GT(witness_.false_chunks[0] + witness_.false_chunks[1], 0U);
    EXPECT_EQ(witness_.false_chunks[2] + witness_.false_chunks[3], 0U);
}

TEST_F(ScenarioActions, AMachineThatMovesIsFoundAtItsNewAddress) {
    form();
    const auto address = [this] { return swarm_.swim(0).find(swarm_.id(1))->address; };
    const auto before = address();
    act("address-change peer 2");
    ASSERT_TRUE(until([this] { return all_train(); }));
    EXPECT_FALSE(before == address());
    // The founder's address is what all others have joined by.
    act("address-change peer 1");
    ASSERT_TRUE(until([this] { return all_train(); }));
    act("kill peer 3");
    faults_.advance(2s);
    act("restart peer 3");
    EXPECT_TRUE(until([this] { return all_train(); }));
}

TEST_F(ScenarioActions, ABrokenDiskTakesNoCheckpointUntilItIsWhole) {
    form();
    for (const std::string verb : {"disk-full", "disk-read-only"}) {
        ASSERT_TRUE(until([this] { return witness_.checkpoints[1] > 0; }));
        act(verb + " peer 2");
        faults_.advance(3s);  // one that was being written may have found its room
        const auto written = witness_.checkpoints[1];
        const auto trained = steps(1);
        faults_.advance(10s);
        EXPECT_EQ(witness_.checkpoints[1], written) << verb;
        EXPECT_GT(steps(1), trained) << verb;
        undo(verb + " peer 2");
        EXPECT_TRUE(until([&] { return witness_.checkpoints[1] > written; }, 10s)) << verb;
    }
}

TEST_F(ScenarioActions, APeerWhoseCheckpointIsDamagedResumesAnEarlierOne) {
    form();
    ASSERT_TRUE(until([this] { return witness_.checkpoints[1] >= 3; }));
    act("kill peer 2");
    act("corrupt peer 2");
    act("restart peer 2");
    ASSERT_TRUE(until([this] { return all_train(); }));
    ASSERT_TRUE(swarm_.session(1)->resumed().has_value());
    EXPECT_TRUE(swarm_.session(1)->resumed()->damage.has_value());
    // One that has written nothing has nothing that could be damaged.
    act("kill peer 3");
    swarm_.disk(2) = peer_virtual::MemoryDisk();
    EXPECT_FALSE(faults_.act(action("corrupt peer 3")).has_value());
}

}  // namespace
}  // namespace starling::simulation
