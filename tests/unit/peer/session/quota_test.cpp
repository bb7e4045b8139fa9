// Goal: a swarm whose target is a number of samples makes just so many, whatever the speeds of its
// peers, and never comes to rest before. Method: a few peers take turns in a loop; a peer's word
// reaches the others after a number of turns that the test chooses.

#include "peer/session/quota.hpp"

#include <deque>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

namespace starling::peer {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kBatch = 64;
constexpr Duration kTurn = 100ms;

PeerId id(std::size_t number) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(number + 1);
    return id;
}

struct Peer {
    std::uint64_t batches_per_turn = 1;
    std::size_t begins = 0;  ///< the turn in which it begins to train
    std::uint64_t samples = 0;
    std::deque<std::uint64_t> words;  ///< what others heard it say, the newest last
    Quota quota;
};

class Swarm {
public:
    Swarm(const std::string& until, const std::vector<std::uint64_t>& speeds, std::size_t delay)
        : delay_(delay) {
        for (const auto speed : speeds) {
            peers.push_back({speed, 0, 0, {0}, Quota(*Until::parse(until), 1000, kBatch)});
        }
    }

    [[nodiscard]] std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const auto& peer : peers) sum += peer.samples;
        return sum;
    }

    /// Runs until nobody has anything left to do for a minute; returns the turns with progress.
    std::size_t run() {
        std::size_t last = 0;
        for (std::size_t turn = 0; turn < last + 600; ++turn) {
            now_ += kTurn;
            const auto before = total();
            for (std::size_t i = 0; i < peers.size(); ++i) {
                if (turn >= peers[i].begins && !stuck.contains(i)) take_turn(i, turn);
            }
            for (auto& peer : peers) peer.words.push_back(peer.samples);
            if (total() != before) last = turn;
        }
        return last;
    }

    std::vector<Peer> peers;
    std::set<std::size_t> stuck;  ///< these say that they train, and do not

private:
    [[nodiscard]] std::uint64_t word(const Peer& peer) const {
        return peer.words[peer.words.size() - std::min(peer.words.size(), delay_ + 1)];
    }

    void take_turn(std::size_t index, std::size_t turn) {
        auto& self = peers[index];
        SwarmView view;
        Quota::Inputs inputs{id(index), self.samples, word(self), rate(self), 0, true};
        view.live = peers.size();
        for (std::size_t i = 0; i < peers.size(); ++i) {
            if (i == index) continue;
            const auto& other = peers[i];
            inputs.others += word(other);
            SeenPeer seen;
            seen.id = id(i);
            seen.record.emplace();
            // Those that are here from the beginning have waited for each other.
            const bool known = other.begins == 0 || turn >= other.begins + delay_;
            seen.record->state = known ? PeerState::Training : PeerState::Joining;
            seen.record->samples = word(other);
            seen.record->samples_per_s = static_cast<float>(rate(other));
            seen.record->shards = 3;
            view.others.push_back(seen);
        }
        (void)self.quota.update(now_, inputs, view);
        for (std::uint64_t i = 0; i < self.batches_per_turn; ++i) {
            if (!self.quota.used_up(self.samples)) self.samples += kBatch;
        }
    }

    static double rate(const Peer& peer) {
        return static_cast<double>(peer.batches_per_turn * kBatch) / to_seconds(kTurn);
    }

    std::size_t delay_;
    Instant now_{};
};

TEST(Quotas, OnePeerMakesTheTargetAndLessThanABatchMore) {
    Swarm swarm("samples=2000", {10000}, 0);
    (void)swarm.run();
    EXPECT_EQ(swarm.total(), 2048U);
}

TEST(Quotas, AnEpochIsAsManySamplesAsTheTrainingSetHas) {
    Swarm swarm("epochs=1.5", {10000, 10000}, 3);
    (void)swarm.run();
    EXPECT_EQ(swarm.total(), 1536U);
}

TEST(Quotas, PeersThatAreFasterThanTheirWordsKeepTheTarget) {
    // Each could make the whole target a hundred times before it hears from anybody.
    for (const std::size_t peers : {2U, 3U, 4U, 7U}) {
        Swarm swarm("samples=2000", std::vector<std::uint64_t>(peers, 10000), 10);
        (void)swarm.run();
        EXPECT_GE(swarm.total(), 2000U) << peers;
        EXPECT_LT(swarm.total(), 2000U + kBatch) << peers;
    }
}

TEST(Quotas, UnlikeSpeedsCostLittleTimeAndLittleMore) {
    for (const std::size_t delay : {0U, 3U, 12U}) {
        Swarm swarm("samples=1000000", {40, 10, 3, 1}, delay);
        const auto turns = swarm.run();
        EXPECT_GE(swarm.total(), 1000000U);
        // Together they make 3,456 samples a turn: 290 turns, and the last ones wait for words.
        EXPECT_LT(turns, 290 + 12 * (delay + 1));
        // A word is on its way for `delay` turns, and all together make 54 batches a turn.
        EXPECT_LT(swarm.total(), 1000000U + 4 * kBatch);
    }
}

TEST(Quotas, WhoeverComesLateGetsItsShareOfWhatIsLeft) {
    Swarm swarm("samples=100000", {10, 10}, 5);
    swarm.peers[1].begins = 60;
    (void)swarm.run();
    EXPECT_GE(swarm.total(), 100000U);
    EXPECT_LT(swarm.total(), 100000U + 6 * 10 * kBatch);
    EXPECT_GT(swarm.peers[1].samples, 20000U);
}

TEST(Quotas, WhoeverComesInBeforeTheWordsOfTheOthersIsCautious) {
    // All begin at nearly the same time, and each sees the others train with nothing done yet.
    Swarm swarm("samples=20000", {10000, 10000, 10000, 10000}, 10);
    for (std::size_t i = 1; i < 4; ++i) swarm.peers[i].begins = i;
    (void)swarm.run();
    EXPECT_GE(swarm.total(), 20000U);
    EXPECT_LT(swarm.total(), 23000U);
}

TEST(Quotas, AShareThatNobodyUsesGoesToTheOthers) {
    Swarm swarm("samples=10000", {10, 10, 10}, 1);
    swarm.stuck = {0};
    (void)swarm.run();
    EXPECT_GE(swarm.total(), 10000U);
    EXPECT_LT(swarm.total(), 13000U);
}

TEST(Quotas, OtherTargetsHaveNone) {
    for (const char* text : {"", "steps=10", "accuracy=0.9", "loss=0.1"}) {
        const Quota quota(*Until::parse(text), 1000, kBatch);
        EXPECT_FALSE(quota.limit()) << text;
        EXPECT_FALSE(quota.used_up(1'000'000'000)) << text;
    }
}

}  // namespace
}  // namespace starling::peer
