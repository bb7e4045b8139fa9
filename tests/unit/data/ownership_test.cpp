// Goal: every peer computes the same owners; only the shards of a peer that leaves move, and they
// go to the next in rank; shares are proportional to weights. Method: seeded random ids. Laws are
// checked exactly, shares within five deviations of a binomial distribution.

#include "data/ownership.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

template <class Id>
Id random_id(Rng& rng) {
    Id id;
    for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(rng.below(256));
    return id;
}

std::vector<WeightedPeer> random_peers(Rng& rng, std::size_t count) {
    std::vector<WeightedPeer> peers(count);
    for (auto& peer : peers) peer.id = random_id<PeerId>(rng);
    return peers;
}

Manifest random_manifest(Rng& rng, std::size_t train, std::size_t test) {
    Manifest manifest;
    manifest.shards.resize(train + test);
    for (std::size_t i = 0; i < manifest.shards.size(); ++i) {
        manifest.shards[i].id = random_id<ShardId>(rng);
        manifest.shards[i].split = i < train ? Split::Train : Split::Test;
    }
    return manifest;
}

void expect_share(std::size_t count, std::size_t trials, double probability) {
    const auto n = static_cast<double>(trials);
    const double deviation = std::sqrt(n * probability * (1.0 - probability));
    EXPECT_NEAR(static_cast<double>(count), n * probability, 5.0 * deviation);
}

TEST(Ownership, OfPrivateSamplesAllAreOurOwn) {
    Rng rng(1);
    const auto peers = random_peers(rng, 5);
    auto manifest = random_manifest(rng, 20, 3);
    manifest.mode = DataMode::Private;
    for (const auto& self : peers) {
        const auto duties = duties_of(self.id, peers, manifest, 2);
        EXPECT_EQ(duties.train.size(), 20U);
        EXPECT_EQ(duties.hold.size(), 23U);
    }
}

TEST(Ownership, AllPeersAgreeWhateverOrderTheyListMembersIn) {
    SCOPED_TRACE("seed 1");
    Rng rng(1);
    auto peers = random_peers(rng, 17);
    for (auto& peer : peers) peer.weight = 1U << rng.below(5);
    const auto manifest = random_manifest(rng, 300, 5);
    std::map<ShardId, int> trained;
    const auto members = peers;
    for (const auto& self : members) {
        rng.shuffle(std::span(peers));
        const auto duties = duties_of(self.id, peers, manifest, 2);
        for (const auto& id : duties.train) ++trained[id];
    }
    EXPECT_EQ(trained.size(), 300U);
    for (const auto& [id, times] : trained) EXPECT_EQ(times, 1);
}

TEST(Ownership, AJoinMovesItsShareAndNothingElse) {
    constexpr std::size_t kPeers = 16;
    constexpr std::size_t kShards = 2000;
    std::size_t moved = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SCOPED_TRACE(seed);
        Rng rng(seed);
        auto peers = random_peers(rng, kPeers + 1);
        const auto manifest = random_manifest(rng, kShards, 0);
        std::vector<std::size_t> all(kShards);
        for (std::size_t i = 0; i < kShards; ++i) all[i] = i;
        const auto with = owners_of(all, peers, manifest);
        const auto newcomer = peers.back().id;
        peers.pop_back();
        const auto without = owners_of(all, peers, manifest);
        for (std::size_t i = 0; i < kShards; ++i) {
            EXPECT_EQ(without[i], rank_owners(manifest.shards[i].id, peers, 1)[0]);
            EXPECT_TRUE(with[i] == without[i] || with[i] == newcomer);
            moved += with[i] != without[i] ? 1U : 0U;
        }
    }
    EXPECT_LE(static_cast<double>(moved), 1.1 * 20 * kShards / (kPeers + 1));
}

TEST(Ownership, DutiesFollowTheRank) {
    SCOPED_TRACE("seed 2");
    Rng rng(2);
    const auto peers = random_peers(rng, 6);
    const auto manifest = random_manifest(rng, 100, 7);
    for (const auto& self : peers) {
        const auto duties = duties_of(self.id, peers, manifest, 1);
        std::vector<ShardId> train;
        std::vector<ShardId> hold;
        for (const auto& shard : manifest.shards) {
            const auto ranked = rank_owners(shard.id, peers, 2);
            const bool test = shard.split == Split::Test;
            if (!test && ranked[0] == self.id) train.push_back(shard.id);
            if (test || ranked[0] == self.id || ranked[1] == self.id) hold.push_back(shard.id);
        }
        EXPECT_EQ(duties.train, train);
        EXPECT_EQ(duties.hold, hold);
    }
}

TEST(Ownership, ALeaversShardsGoToTheirNextInRankAndNothingElseMoves) {
    SCOPED_TRACE("seed 3");
    Rng rng(3);
    auto peers = random_peers(rng, 9);
    for (auto& peer : peers) peer.weight = 1U << rng.below(4);
    const auto leaver = peers[4].id;
    auto survivors = peers;
    survivors.erase(survivors.begin() + 4);
    std::size_t moved = 0;
    for (int i = 0; i < 2000; ++i) {
        const auto shard = random_id<ShardId>(rng);
        auto before = rank_owners(shard, peers, peers.size());
        const auto after = rank_owners(shard, survivors, survivors.size());
        if (before.front() == leaver) {
            ++moved;
            EXPECT_EQ(after.front(), before[1]);
        }
        before.erase(std::find(before.begin(), before.end(), leaver));
        EXPECT_EQ(after, before);
    }
    EXPECT_GT(moved, 0U);
}

TEST(Ownership, ANewcomerTakesItsShareAndNothingMovesBetweenTheOthers) {
    SCOPED_TRACE("seed 4");
    Rng rng(4);
    auto peers = random_peers(rng, 4);
    auto more = peers;
    more.push_back({random_id<PeerId>(rng), 1});
    std::size_t moved = 0;
    for (int i = 0; i < 5000; ++i) {
        const auto shard = random_id<ShardId>(rng);
        const auto before = rank_owners(shard, peers, 1).front();
        const auto after = rank_owners(shard, more, 1).front();
        if (before == after) continue;
        EXPECT_EQ(after, more.back().id);
        ++moved;
    }
    expect_share(moved, 5000, 0.2);
}

TEST(Ownership, SharesFollowTheWeights) {
    SCOPED_TRACE("seed 5");
    Rng rng(5);
    auto peers = random_peers(rng, 6);
    const std::uint32_t weights[] = {1, 2, 4, 8, 16, 32};
    double total = 0;
    for (std::size_t i = 0; i < peers.size(); ++i) {
        peers[i].weight = weights[i];
        total += weights[i];
    }
    std::map<PeerId, std::size_t> owned;
    constexpr std::size_t kShards = 40000;
    for (std::size_t i = 0; i < kShards; ++i) {
        ++owned[rank_owners(random_id<ShardId>(rng), peers, 1).front()];
    }
    for (const auto& peer : peers) expect_share(owned[peer.id], kShards, peer.weight / total);
}

TEST(Ownership, SixtyShardsOverFourPeersSpreadLikeABinomial) {
    SCOPED_TRACE("seed 6");
    Rng rng(6);
    double squares = 0;
    constexpr int kRounds = 400;
    for (int round = 0; round < kRounds; ++round) {
        const auto peers = random_peers(rng, 4);
        const auto manifest = random_manifest(rng, 60, 0);
        const auto owned =
            static_cast<double>(duties_of(peers[0].id, peers, manifest, 0).train.size());
        squares += (owned - 15.0) * (owned - 15.0);
    }
    // Binomial(60, 1/4) has variance 11.25. An estimate from 400 rounds is good to about 7 %.
    EXPECT_NEAR(squares / kRounds, 11.25, 4.0);
}

TEST(Ownership, AWeightOfZeroRanksLastAndTiesGoToTheLowerId) {
    SCOPED_TRACE("seed 7");
    Rng rng(7);
    auto peers = random_peers(rng, 3);
    peers[1].weight = 0;
    for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(rank_owners(random_id<ShardId>(rng), peers, 3).back(), peers[1].id);
    }
    for (auto& peer : peers) peer.weight = 0;
    std::vector<PeerId> sorted{peers[0].id, peers[1].id, peers[2].id};
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(rank_owners(random_id<ShardId>(rng), peers, 9), sorted);
}

// A separate program has computed the expected ranks with floating-point logarithms.
TEST(Ownership, GoldenRanksAreTheSameOnEveryMachine) {
    std::vector<WeightedPeer> peers(5);
    for (std::size_t i = 0; i < peers.size(); ++i) {
        peers[i].id.bytes.fill(static_cast<std::uint8_t>(17 * i));
        peers[i].weight = 1U << (i % 3);
    }
    std::string ranks;
    for (std::uint8_t s = 0; s < 6; ++s) {
        ShardId shard;
        shard.bytes.fill(s);
        for (const auto& id : rank_owners(shard, peers, 3)) {
            ranks += std::to_string(id.bytes[0] / 17);
        }
        ranks += ' ';
    }
    EXPECT_EQ(ranks, "423 123 241 140 021 104 ");
}

TEST(Ownership, WhoShouldHoldAShardIsWhoeverHasItAsADuty) {
    SCOPED_TRACE("seed 9");
    Rng rng(9);
    const auto peers = random_peers(rng, 6);
    auto manifest = random_manifest(rng, 60, 3);
    std::vector<std::size_t> places(manifest.shards.size());
    std::iota(places.begin(), places.end(), 0U);
    for (const std::uint32_t partitions : {0U, 12U}) {
        manifest.partitions = partitions;
        for (std::size_t i = 0; i < 60; ++i) {
            manifest.shards[i].partition = partitions > 0 ? static_cast<std::uint32_t>(i % 12) : 0;
        }
        for (const std::size_t replicas : {0U, 2U, 9U}) {
            const auto holders = holders_of(places, peers, manifest, replicas);
            for (const auto& self : peers) {
                std::vector<ShardId> hold;
                for (std::size_t i = 0; i < places.size(); ++i) {
                    const auto count = std::count(holders[i].begin(), holders[i].end(), self.id);
                    ASSERT_LE(count, 1);
                    if (count == 1) hold.push_back(manifest.shards[i].id);
                }
                EXPECT_EQ(duties_of(self.id, peers, manifest, replicas).hold, hold);
            }
        }
    }
}

TEST(Ownership, ReplicasBeyondTheSwarmMeanEverybody) {
    SCOPED_TRACE("seed 8");
    Rng rng(8);
    const auto peers = random_peers(rng, 3);
    const auto manifest = random_manifest(rng, 20, 2);
    EXPECT_EQ(duties_of(peers[0].id, peers, manifest, 99).hold.size(), 22U);
    EXPECT_EQ(duties_of(peers[0].id, std::span(peers).first(1), manifest, 0).train.size(), 20U);
}

}  // namespace
}  // namespace starling::data
