// Goal: a swarm whose target is a number of samples makes all whole batches within it and never one
// more, whatever the speeds of its peers and of their words, and never comes to rest before.
// Method: a few peers take turns in a loop. Each has a trainer that obeys late, and its words reach
// the others after turns that the test chooses or draws.

#include "peer/session/quota.hpp"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

#include "base/rng.hpp"

namespace starling::peer {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kBatch = 64;
constexpr Duration kTurn = 100ms;

PeerId id(std::size_t number) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(number + 1);
    id.bytes[5] = static_cast<std::uint8_t>(17 * number + 3);
    return id;
}

/// A peer's session and trainer, as far as they matter here.
struct Peer {
    std::uint64_t batches_per_turn = 1;
    std::size_t begins = 0;  ///< the turn in which it begins to train
    Quota quota;
    std::uint64_t samples = 0;   ///< of its trainer
    std::uint64_t limit = 0;     ///< that its trainer obeys
    std::uint64_t reported = 0;  ///< what its session knows of them
    bool obeyed = true;
    bool stuck = false;              ///< its trainer makes no step any more
    bool lies = false;               ///< it says that it shares among others than it does
    bool gone = false;               ///< killed
    std::vector<Record> words;       ///< one after each turn
    std::vector<std::size_t> heard;  ///< how many of each other's words have come
};

class Swarm {
public:
    Swarm(const std::string& until, const std::vector<std::uint64_t>& speeds, std::size_t delay = 3)
        : delay_(delay) {
        for (const auto speed : speeds) {
            Quota quota(*Until::parse(until), kBatch);
            peers.push_back(Peer{speed, 0, quota, 0, 0, 0, true, false, false, false, {}, {}});
            peers.back().heard.resize(speeds.size());
        }
    }

    [[nodiscard]] std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const auto& peer : peers) sum += peer.samples;
        return sum;
    }

    /// Runs until nobody has made progress for a minute; returns the turns with progress.
    std::size_t run() {
        std::size_t last = turn_;
        while (turn_ < last + 600) {
            const auto before = total();
            step();
            if (total() != before) last = turn_;
        }
        return last;
    }

    void step() {
        ++turn_;
        now_ += kTurn;
        for (std::size_t i = 0; i < peers.size(); ++i) {
            if (!peers[i].gone) take_turn(i);
        }
        for (auto& peer : peers) {
            if (!peer.gone) peer.words.push_back(word_of(peer));
        }
    }

    std::vector<Peer> peers;
    /// Draws how late words and orders are; without it they are always equally late.
    std::optional<Rng> rng;

private:
    [[nodiscard]] bool trains(const Peer& peer) const { return turn_ > peer.begins; }

    [[nodiscard]] static double rate(const Peer& peer) {
        if (peer.reported == 0) return 0.0;
        return static_cast<double>(peer.batches_per_turn * kBatch) / to_seconds(kTurn);
    }

    [[nodiscard]] Record word_of(const Peer& peer) const {
        Record record;
        record.state = trains(peer) ? PeerState::Training : PeerState::Joining;
        record.samples = peer.reported;
        record.samples_per_s = static_cast<float>(rate(peer));
        record.shards = 3;
        record.claim = peer.quota.claim();
        if (peer.lies) record.claim = {record.samples, 1, record.claim.sharers + 1};
        return record;
    }

    /// Words may be late, but never come in another order: the newest is kept.
    void hear(Peer& self) {
        for (std::size_t i = 0; i < peers.size(); ++i) {
            const auto said = peers[i].words.size();
            const auto late = rng ? rng->below(2 * delay_ + 1) : delay_;
            if (said > late) self.heard[i] = std::max<std::size_t>(self.heard[i], said - late);
        }
    }

    void take_turn(std::size_t index) {
        auto& self = peers[index];
        hear(self);
        SwarmView view;
        Quota::Inputs inputs;
        inputs.self = id(index);
        inputs.own = self.reported;
        inputs.own_rate = rate(self);
        inputs.shares = inputs.trains = trains(self);
        inputs.obeyed = self.obeyed;
        for (std::size_t i = 0; i < peers.size(); ++i) {
            // A newcomer knows who is a member before it has heard what they say of themselves.
            const bool unknown = peers[i].begins > 0 && self.heard[i] == 0;
            if (i == index || unknown) continue;
            SeenPeer seen;
            seen.id = id(i);
            if (self.heard[i] == 0) {
                view.others.push_back(seen);
                continue;
            }
            seen.record = peers[i].words[self.heard[i] - 1];
            if (peers[i].gone && self.heard[i] == peers[i].words.size()) {
                seen.state = membership::MemberState::Failed;
            }
            inputs.others += seen.record->samples;
            view.others.push_back(seen);
        }
        view.live = view.others.size() + 1;
        const bool changed = self.quota.update(now_, inputs, view);
        if (changed && trains(self)) self.obeyed = false;
        train(self);
    }

    /// The trainer makes some steps before it looks at its orders, and others after it.
    void train(Peer& self) {
        const bool looks = !rng || rng->chance(0.5);
        const auto before = rng ? rng->below(self.batches_per_turn + 1) : 0;
        if (trains(self) && !self.stuck) {
            make(self, before);
            if (looks) self.limit = *self.quota.limit();
            make(self, self.batches_per_turn - before);
        } else if (looks) {
            self.limit = *self.quota.limit();
        }
        if (rng && !rng->chance(0.5)) return;
        self.reported = self.samples;
        self.obeyed = self.obeyed || self.limit == *self.quota.limit();
    }

    static void make(Peer& self, std::uint64_t batches) {
        for (std::uint64_t i = 0; i < batches && self.samples + kBatch <= self.limit; ++i) {
            self.samples += kBatch;
        }
    }

    std::size_t delay_;
    std::size_t turn_ = 0;
    Instant now_{};
};

TEST(Quotas, OnePeerMakesAllWholeBatchesWithinTheTarget) {
    Swarm swarm("samples=2000", {10000});
    (void)swarm.run();
    EXPECT_EQ(swarm.total(), 1984U);
    EXPECT_EQ(swarm.peers[0].quota.target(), 1984U);
}

TEST(Quotas, PeersThatAreFasterThanTheirWordsKeepTheTarget) {
    // Each could make the whole target a hundred times before it hears from anybody.
    for (const std::size_t peers : {2U, 3U, 4U, 7U}) {
        Swarm swarm("samples=2000", std::vector<std::uint64_t>(peers, 10000), 10);
        (void)swarm.run();
        EXPECT_EQ(swarm.total(), 1984U) << peers;
    }
}

TEST(Quotas, UnlikeSpeedsCostLittleTime) {
    for (const std::size_t delay : {0U, 3U, 12U}) {
        Swarm swarm("samples=1000000", {40, 10, 3, 1}, delay);
        const auto turns = swarm.run();
        EXPECT_EQ(swarm.total(), 1000000U);
        // Together they make 3,456 samples a turn: 290 turns, and the last ones wait for words.
        EXPECT_LT(turns, 290 + 12 * (delay + 1)) << delay;
    }
}

TEST(Quotas, AFounderGivesNewcomersTheirShareOfWhatIsLeft) {
    Swarm swarm("samples=100000", {10, 10}, 5);
    swarm.peers[1].begins = 60;
    const auto turns = swarm.run();
    EXPECT_EQ(swarm.total(), 99968U);
    EXPECT_GT(swarm.peers[1].samples, 20000U);
    EXPECT_LT(turns, 150U);
}

TEST(Quotas, WhoeverComesInBeforeTheWordsOfTheOthersTakesNothingTwice) {
    // All begin at nearly the same time, and each sees the others train with nothing done yet.
    Swarm swarm("samples=20000", {10000, 10000, 10000, 10000}, 10);
    for (std::size_t i = 1; i < 4; ++i) swarm.peers[i].begins = i;
    (void)swarm.run();
    EXPECT_EQ(swarm.total(), 19968U);
}

TEST(Quotas, TheBoundHoldsHoweverLateWordsAndOrdersAre) {
    const char* one = std::getenv("STARLING_SIM_SEED");
    const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 0) : 0;
    const std::uint64_t last = one != nullptr ? first + 1 : 400;
    for (auto seed = first; seed < last; ++seed) {
        SCOPED_TRACE(seed);
        Rng rng(seed);
        std::vector<std::uint64_t> speeds(1 + rng.below(6));
        for (auto& speed : speeds) speed = 1 + rng.below(rng.chance(0.5) ? 4 : 400);
        const auto target = kBatch * rng.below(3000) + rng.below(kBatch);
        Swarm swarm("samples=" + std::to_string(target + kBatch), speeds, rng.below(12));
        for (std::size_t i = 1; i < speeds.size(); ++i) {
            swarm.peers[i].begins = rng.chance(0.3) ? rng.below(60) : 0;
        }
        swarm.rng = rng;
        (void)swarm.run();
        ASSERT_EQ(swarm.total(), (target + kBatch) / kBatch * kBatch);
    }
}

TEST(Quotas, AClaimThatNobodyUsesGoesToTheOthers) {
    Swarm swarm("samples=10000", {10, 10, 10}, 1);
    swarm.peers[0].stuck = true;
    const auto turns = swarm.run();
    EXPECT_EQ(swarm.total(), 9984U);
    EXPECT_LT(turns, 150U);
}

TEST(Quotas, NobodyCanKeepTheOthersFromTheirClaims) {
    Swarm swarm("samples=100000", {10, 10, 10, 10}, 3);
    swarm.peers[2].lies = true;
    swarm.peers[2].stuck = true;
    (void)swarm.run();
    EXPECT_EQ(swarm.total(), 99968U);
}

TEST(Quotas, WhatADeadPeerHadClaimedGoesToTheOthers) {
    Swarm swarm("samples=100000", {10, 10, 10}, 2);
    for (int i = 0; i < 20; ++i) swarm.step();
    swarm.peers[1].gone = true;
    (void)swarm.run();
    // Its last words are lost: what it made in three turns is made again.
    EXPECT_GE(swarm.total(), 99968U);
    EXPECT_LE(swarm.total(), 99968U + 3 * 10 * kBatch);
}

TEST(Quotas, OtherTargetsHaveNone) {
    for (const char* text : {"", "steps=10", "accuracy=0.9", "loss=0.1"}) {
        const Quota quota(*Until::parse(text), kBatch);
        EXPECT_FALSE(quota.limit()) << text;
        EXPECT_FALSE(quota.used_up(1'000'000'000)) << text;
        EXPECT_EQ(quota.claim(), Claim{}) << text;
    }
}

}  // namespace
}  // namespace starling::peer
