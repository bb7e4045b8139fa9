// Goal: what is judged is shared out so that each part of it is held three times, each share is large enough, and
// little moves when peers come and go or shares rotate; a small split is everybody's. Method: seeded random ids; laws
// are checked exactly, what moves against its mean.

#include "data/shares.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/rng.hpp"
#include "data/ownership.hpp"

namespace starling::data {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr std::uint32_t kShardBytes = 8 * kMiB;

template <class Id>
Id random_id(Rng& rng) {
    Id id;
    for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(rng.below(256));
    return id;
}

std::vector<PeerId> random_peers(Rng& rng, std::size_t count) {
    std::vector<PeerId> peers(count);
    for (auto& peer : peers) peer = random_id<PeerId>(rng);
    return peers;
}

Manifest manifest_of(Rng& rng, std::size_t test, std::size_t valid = 0) {
    Manifest manifest;
    manifest.shards.resize(4 + test + valid);
    for (std::size_t i = 0; i < manifest.shards.size(); ++i) {
        auto& shard = manifest.shards[i];
        shard.id = random_id<ShardId>(rng);
        shard.split = i < 4 ? Split::Train : i < 4 + test ? Split::Test : Split::Valid;
        shard.bytes = kShardBytes;
        shard.samples = 100;
    }
    return manifest;
}

std::map<std::size_t, std::size_t> holders_by_portion(
    const SplitShares& shares, std::span<const PeerId> peers, std::uint64_t rotation = 0
) {
    std::map<std::size_t, std::size_t> count;
    for (const auto& peer : peers) {
        for (const auto portion : shares.share_of(peer, peers, rotation)) ++count[portion];
    }
    return count;
}

std::uint64_t bytes_of(const SplitShares& shares, std::span<const std::size_t> share) {
    std::uint64_t bytes = 0;
    for (const auto portion : share) bytes += shares.portions()[portion].bytes;
    return bytes;
}

/// Returns how many bytes of `after` are not in `before`.
std::uint64_t fetched(
    const SplitShares& shares,
    std::span<const std::size_t> before,
    std::span<const std::size_t> after
) {
    std::vector<std::size_t> more;
    std::set_difference(
        after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(more)
    );
    return bytes_of(shares, more);
}

TEST(SplitShares, ASmallSplitIsEverybodys) {
    Rng rng(1);
    const auto manifest = manifest_of(rng, 8);
    const SplitShares shares(manifest);
    EXPECT_FALSE(shares.divides()) << "64 MiB and not a byte more";
    EXPECT_FALSE(shares.divides(Split::Test));
    std::vector<WeightedPeer> peers;
    for (const auto& peer : random_peers(rng, 20)) peers.push_back({peer, 1});
    const JudgedShare share{&shares, {}};
    EXPECT_EQ(
        duties_of(peers[3].id, peers, manifest, 2, share).hold,
        duties_of(peers[3].id, peers, manifest, 2).hold
    );
}

TEST(SplitShares, DivideOnlyTheSplitsThatAreTooLarge) {
    Rng rng(2);
    auto manifest = manifest_of(rng, 9, 8);
    const SplitShares shares(manifest);
    EXPECT_TRUE(shares.divides(Split::Test));
    EXPECT_FALSE(shares.divides(Split::Valid));
    EXPECT_FALSE(shares.divides(Split::Train));
    std::set<ShardId> seen;
    for (const auto& portion : shares.portions()) {
        EXPECT_EQ(portion.split, Split::Test);
        EXPECT_EQ(portion.bytes, portion.shards.size() * kShardBytes);
        EXPECT_EQ(portion.samples, portion.shards.size() * 100);
        for (const auto& shard : portion.shards) EXPECT_TRUE(seen.insert(shard).second);
    }
    EXPECT_EQ(seen.size(), 9U) << "each shard is in one portion";
    EXPECT_EQ(shares.portion_of(manifest.shards[0].id), nullptr);
    EXPECT_NE(shares.portion_of(manifest.shards[4].id), nullptr);
    manifest.mode = DataMode::Private;
    EXPECT_FALSE(SplitShares(manifest).divides()) << "nobody else has private samples";
}

TEST(SplitShares, OfAVeryLargeSplitHaveAtMost256Portions) {
    Rng rng(3);
    const auto manifest = manifest_of(rng, 1280);
    const SplitShares shares(manifest);
    EXPECT_GT(shares.portions().size(), 200U);
    EXPECT_LE(shares.portions().size(), kPortionsMax);
}

TEST(SplitShares, CoverTheSplitThreeTimesAndAreLargeEnough) {
    for (const std::size_t peers : {1U, 2U, 3U, 4U, 10U, 100U}) {
        Rng rng(peers);
        const auto manifest = manifest_of(rng, 100);
        const SplitShares shares(manifest, 77);
        const auto ids = random_peers(rng, peers);
        const auto held = holders_by_portion(shares, ids);
        ASSERT_EQ(held.size(), shares.portions().size()) << peers;
        for (const auto& [portion, times] : held) EXPECT_GE(times, std::min<std::size_t>(3, peers));
        std::uint64_t bytes = 0;
        for (const auto& peer : ids) {
            const auto share = shares.share_of(peer, ids, 0);
            EXPECT_GE(bytes_of(shares, share), kWholeSplitBytes);
            bytes += bytes_of(shares, share);
            EXPECT_EQ(share.size() == shares.portions().size(), peers <= 3);
        }
        // 800 MiB: of ten peers each has about 240 MiB, of a hundred 64 to 72.
        const auto mebibytes = static_cast<double>(bytes / kMiB);
        if (peers == 10) {
            EXPECT_NEAR(mebibytes, 2400.0, 100.0);
        }
        if (peers == 100) {
            EXPECT_LT(mebibytes, 7200.0);
        }
    }
}

TEST(SplitShares, AreTheSameInWhateverOrderPeersAreListed) {
    Rng rng(4);
    const auto manifest = manifest_of(rng, 40);
    const SplitShares shares(manifest);
    auto peers = random_peers(rng, 9);
    const auto self = peers[2];
    const auto share = shares.share_of(self, peers, 3);
    const auto first = shares.ranked(0, 3, peers);
    rng.shuffle(std::span(peers));
    EXPECT_EQ(shares.share_of(self, peers, 3), share);
    EXPECT_EQ(shares.ranked(0, 3, peers), first);
    EXPECT_NE(SplitShares(manifest, 5).share_of(self, peers, 3), share) << "seeds differ";
}

TEST(SplitShares, ALeaverMovesItsOwnAndLittleElse) {
    constexpr std::size_t kPeers = 12;
    Rng rng(5);
    const auto manifest = manifest_of(rng, 120);
    const SplitShares shares(manifest);
    const auto peers = random_peers(rng, kPeers);
    std::uint64_t moved = 0;
    for (std::size_t leaver = 0; leaver < kPeers; ++leaver) {
        std::vector<PeerId> left;
        for (const auto& peer : peers) {
            if (peer != peers[leaver]) left.push_back(peer);
        }
        for (const auto& peer : left) {
            moved +=
                fetched(shares, shares.share_of(peer, peers, 0), shares.share_of(peer, left, 0));
        }
    }
    // Every portion has three holders, so in a round of leavers each moves three times.
    EXPECT_EQ(moved, 3 * 120 * std::uint64_t{kShardBytes});
}

TEST(SplitShares, ARotationMovesAQuarterAndFourMoveAll) {
    Rng rng(6);
    const auto manifest = manifest_of(rng, 200);
    const SplitShares shares(manifest);
    const auto peers = random_peers(rng, 40);
    std::uint64_t all = 0;
    std::uint64_t once = 0;
    std::uint64_t four = 0;
    for (const auto& peer : peers) {
        const auto before = shares.share_of(peer, peers, 0);
        all += bytes_of(shares, before);
        once += fetched(shares, before, shares.share_of(peer, peers, 1));
        four += fetched(shares, before, shares.share_of(peer, peers, 4));
    }
    const auto part = [all](std::uint64_t bytes) {
        return static_cast<double>(bytes) / static_cast<double>(all);
    };
    EXPECT_NEAR(part(once), 0.25, 0.05);
    EXPECT_GT(part(four), 0.8);
    for (const auto& [portion, times] : holders_by_portion(shares, peers, 2)) EXPECT_GE(times, 3U);
}

TEST(SplitShares, AreWhatDutiesHold) {
    Rng rng(7);
    const auto manifest = manifest_of(rng, 30);
    const SplitShares shares(manifest);
    const auto ids = random_peers(rng, 10);
    std::vector<WeightedPeer> peers;
    for (const auto& id : ids) peers.push_back({id, 1});
    const JudgedShare share{&shares, shares.share_of(ids[0], ids, 0)};
    std::size_t tests = 0;
    for (const auto& shard : duties_of(ids[0], peers, manifest, 2, share).hold) {
        const auto* portion = shares.portion_of(shard);
        if (portion == nullptr) continue;
        ++tests;
        EXPECT_TRUE(std::binary_search(share.portions.begin(), share.portions.end(), *portion));
    }
    EXPECT_EQ(tests * kShardBytes, bytes_of(shares, share.portions));
}

}  // namespace
}  // namespace starling::data
