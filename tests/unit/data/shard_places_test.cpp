// Goal: shards that go from peer to peer with their places give each sample once an epoch, whoever has
// them and whenever their bytes come. Method: several batchers share out shards at random and keep an
// account of every sample; the order of samples is compared with a sorted list.

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "base/rng.hpp"
#include "data/batcher.hpp"
#include "data/prefetch.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

using testing::numbered_dataset;
using testing::test_hash;

constexpr std::size_t kElements = 6;
constexpr std::uint64_t kShuffle = 5;

class Places : public ::testing::Test {
protected:
    Places() {
        for (const auto& shard : sharded_.manifest.shards) {
            if (shard.split == Split::Train) train_.push_back(shard.id);
        }
    }

    void put(ShardStore& store, const ShardId& id) const {
        for (std::size_t i = 0; i < sharded_.shards.size(); ++i) {
            if (sharded_.manifest.shards[i].id != id) continue;
            ASSERT_TRUE(store.put(sharded_.shards[i]).has_value());
        }
    }

    [[nodiscard]] std::uint32_t number(std::span<const float> sample) const {
        const auto& scale = std::get<ImageRecipe>(sharded_.manifest.recipe).scales[0];
        std::uint32_t number = 0;
        for (std::size_t i = 4; i-- > 0;) {
            const float byte = (sample[i] * scale.stddev + scale.mean) * 255.0F;
            number = (number << 8U) | static_cast<std::uint32_t>(std::lround(byte));
        }
        return number;
    }

    Sharded sharded_ = shard_dataset(numbered_dataset(210, 33), 10, test_hash);
    std::vector<ShardId> train_;
};

/// A peer: what it holds, and what it draws from.
struct Peer {
    explicit Peer(const Manifest& manifest)
        : store(manifest, test_hash),
          batcher(store, kShuffle) {}

    [[nodiscard]] std::optional<EpochPlace> place_of(const ShardId& id) const {
        for (const auto& place : batcher.places()) {
            if (place.id != id) continue;
            return place.held ? std::max(place.from, data::place_of(batcher.position()))
                              : place.from;
        }
        return std::nullopt;
    }

    ShardStore store;
    Batcher batcher;
    std::vector<ShardStart> shards;
};

TEST_F(Places, OfShardsThatMoveAllTheTimeLeaveNothingOutAndRepeatNothing) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        Rng rng(seed);
        std::vector<std::unique_ptr<Peer>> peers;
        for (int i = 0; i < 4; ++i) peers.push_back(std::make_unique<Peer>(sharded_.manifest));
        std::map<ShardId, std::size_t> owner;
        for (const auto& id : train_) owner[id] = static_cast<std::size_t>(rng.below(4));
        std::map<ShardId, EpochPlace> reached;  // what owners that are gone have said
        std::set<std::pair<std::uint32_t, std::uint64_t>> given;
        const auto deal = [&] {
            for (std::size_t i = 0; i < peers.size(); ++i) {
                auto& peer = *peers[i];
                peer.shards.clear();
                for (const auto& [id, who] : owner) {
                    if (who != i) continue;
                    const auto said = reached.find(id);
                    peer.shards.push_back({id});
                    if (said != reached.end()) peer.shards.back().from = said->second;
                    if (!peer.store.has(id) && rng.chance(0.7)) put(peer.store, id);
                }
                peer.batcher.set_shards_from(peer.shards);
            }
        };
        deal();
        for (int round = 0; round < 120; ++round) {
            for (auto& peer : peers) {
                const auto draws = rng.below(20);
                for (std::uint64_t k = 0; k < draws; ++k) {
                    std::vector<float> values(kElements);
                    std::vector<std::int32_t> label(1);
                    if (!peer->batcher.next({values, label})) break;
                    const auto after = peer->batcher.position();
                    const auto epoch = after.next == 0 ? after.epoch - 1 : after.epoch;
                    EXPECT_TRUE(given.emplace(number(values), epoch).second)
                        << "seed " << seed << ": sample " << number(values) << " twice in "
                        << epoch;
                }
                for (const auto& [id, who] : owner) {
                    if (peers[who] == peer && !peer->store.has(id) && rng.chance(0.3)) {
                        put(peer->store, id);
                    }
                }
            }
            // Some shards move, or a peer dies and all of its shards do.
            const auto dead = rng.chance(0.1) ? static_cast<std::size_t>(rng.below(4)) : 4;
            bool moved = false;
            for (auto& [id, who] : owner) {
                if (who != dead && !rng.chance(0.05)) continue;
                if (const auto place = peers[who]->place_of(id)) reached[id] = *place;
                who = (who + 1 + static_cast<std::size_t>(rng.below(3))) % 4;
                moved = true;
            }
            if (dead < 4) peers[dead] = std::make_unique<Peer>(sharded_.manifest);
            if (moved) deal();
        }
        // Of every epoch that is over for a shard nothing is missing.
        std::uint64_t over = ~std::uint64_t{0};
        for (const auto& [id, who] : owner) {
            const auto place = peers[who]->place_of(id);
            ASSERT_TRUE(place.has_value());
            over = std::min(over, place->epoch);
        }
        std::map<std::uint64_t, std::size_t> counts;
        for (const auto& [sample, epoch] : given) ++counts[epoch];
        for (std::uint64_t epoch = 0; epoch < over; ++epoch) {
            EXPECT_EQ(counts[epoch], 210U) << "seed " << seed << ", epoch " << epoch;
        }
        EXPECT_GE(over, 2U) << seed;
    }
}

TEST_F(Places, WithAThreadThatDrawsAheadAreThoseOfWhatWasTaken) {
    ShardStore store(sharded_.manifest, test_hash);
    for (const auto& id : train_) put(store, id);
    Prefetcher ahead(store, kShuffle, 7);
    Batcher twin(store, kShuffle);
    Rng rng(3);
    std::vector<ShardStart> set;
    for (const auto& id : train_) {
        set.push_back({id, EpochPlace{rng.below(2), rng.next() >> 1U}});
    }
    for (int round = 0; round < 30; ++round) {
        std::vector<ShardStart> some;
        for (const auto& one : set) {
            if (rng.chance(0.6)) some.push_back(one);
        }
        if (some.empty()) continue;
        const auto version = ahead.places_version();
        ahead.set_shards_from(some);
        twin.set_shards_from(some);
        EXPECT_GT(ahead.places_version(), version);
        for (std::uint64_t k = rng.below(9); k > 0; --k) {
            const auto before = ahead.position();
            const auto* batch = ahead.next();
            ASSERT_NE(batch, nullptr);
            EXPECT_EQ(batch->before, before);
            std::vector<float> values(7 * kElements);
            std::vector<std::int32_t> labels(7);
            ASSERT_TRUE(twin.next({values, labels}));
            EXPECT_EQ(batch->values, values) << round;
            EXPECT_EQ(ahead.position(), twin.position());
        }
    }
}

TEST(AnOrderWithPlaces, IsASortedListWithoutWhatComesBefore) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        Rng rng(seed);
        std::vector<OrderedShard> shards(1 + rng.below(6));
        for (auto& shard : shards) {
            for (auto& byte : shard.id.bytes) byte = static_cast<std::uint8_t>(rng.below(256));
            shard.samples = static_cast<std::uint32_t>(1 + rng.below(60));
        }
        std::sort(shards.begin(), shards.end(), [](const auto& a, const auto& b) {
            return a.id < b.id;
        });
        // All samples of four epochs by their keys, which are hashes as data/sample_order.hpp says.
        std::vector<std::tuple<EpochPlace, std::uint32_t, std::uint32_t>> all;
        for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
            for (std::uint32_t slot = 0; slot < shards.size(); ++slot) {
                const auto of_epoch = mix64(kShuffle ^ mix64(epoch));
                const auto of_shard = mix64(of_epoch ^ shards[slot].id.prefix64());
                for (std::uint32_t i = 0; i < shards[slot].samples; ++i) {
                    const auto key = mix64(of_shard ^ mix64(i)) >> 1U;
                    all.emplace_back(EpochPlace{epoch, key}, slot, i);
                }
            }
        }
        std::sort(all.begin(), all.end());
        const auto place = [&] { return EpochPlace{rng.below(3), rng.next() >> 1U}; };
        EpochPlace least{9, 0};
        for (auto& shard : shards) {
            shard.from = place();
            least = std::min(least, shard.from);
        }
        SampleOrder order(kShuffle, {16, 8, 64});
        order.set_at(shards, least);
        for (const auto& [at, slot, sample] : all) {
            if (at < shards[slot].from) continue;
            const auto draw = order.next();
            ASSERT_TRUE(draw.has_value());
            ASSERT_EQ(draw->slot, slot) << seed;
            ASSERT_EQ(draw->sample, sample) << seed;
        }
    }
}

}  // namespace
}  // namespace starling::data
