// Goal: the cache comes below its limit, and no shard goes before all that should hold it have shown
// that they do. Method: caches and holders wired directly to each other, on a clock that the test moves.

#include "peer/transfer/shard_cache.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <memory>

#include "data/dataset.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/transfer/shard_transfer.hpp"
#include "tests/unit/peer/transfer/support/wire.hpp"

namespace starling::peer {
namespace {

using std::chrono::seconds;

constexpr std::uint8_t kSelfNumber = 9;

class Caches : public ::testing::Test {
protected:
    Caches()
        : sharded_(data::shard_dataset(tiny(), 10, &sha256)),
          mine_(sharded_.manifest, &sha256) {
        for (std::uint8_t n = 1; n <= 4; ++n) peers_.push_back({peer_id(n), 1});
        peers_.push_back({peer_id(kSelfNumber), 1});
        for (const auto& peer : peers_) {
            auto& other = others_[peer.id];
            other.store = std::make_unique<data::ShardStore>(sharded_.manifest, &sha256);
            other.transfer = std::make_unique<ShardTransfer>(*other.store, wire_.outbox(peer.id));
        }
        for (std::size_t i = 0; i < sharded_.shards.size(); ++i) {
            auto bytes = share(sharded_.shards[i]);
            bytes.mapped = true;
            (void)mine_.put_known(sharded_.manifest.shards[i].id, std::move(bytes));
        }
        shard_bytes_ = sharded_.shards[0].size();
    }

    static data::Dataset tiny() {
        data::Dataset dataset;
        dataset.name = "tiny";
        dataset.shape = {1, 2, 2};
        dataset.classes = 2;
        for (std::size_t i = 0; i < 400; ++i) {
            for (std::size_t v = 0; v < 4; ++v) {
                dataset.train.values.push_back(static_cast<std::uint8_t>(i * 31 + v));
            }
            dataset.train.labels.push_back(static_cast<std::uint16_t>(i % 2));
        }
        dataset.test.values.assign(4, 1);
        dataset.test.labels.assign(1, 0);
        return dataset;
    }

    void begin(std::uint64_t limit, std::size_t replicas = 1) {
        cache_ = std::make_unique<ShardCache>(mine_, wire_.outbox(self_), limit);
        duties_ = data::duties_of(self_, peers_, sharded_.manifest, replicas);
        cache_->set_duties(now_, {self_, duties_.hold, peers_, replicas});
        replicas_ = replicas;
    }

    /// Gives each of the others what it should hold.
    void fill(const PeerId& peer) {
        const auto duties = data::duties_of(peer, peers_, sharded_.manifest, replicas_);
        for (std::size_t i = 0; i < sharded_.shards.size(); ++i) {
            const auto& id = sharded_.manifest.shards[i].id;
            if (std::count(duties.hold.begin(), duties.hold.end(), id) == 0) continue;
            ASSERT_TRUE(others_[peer].store->put(sharded_.shards[i]).has_value());
        }
    }

    void fill_all() {
        for (const auto& peer : peers_) fill(peer.id);
    }

    void run() {
        Sent sent{};
        while (wire_.take(sent)) {
            if (sent.frame.to == self_) {
                EXPECT_TRUE(cache_->handle_piece(sent.from, sent.frame.payload));
            } else {
                ++asked_;
                others_[sent.frame.to].transfer->handle_request(
                    sent.from, sent.frame.payload, false
                );
            }
        }
    }

    void pass(Duration time) {
        const Instant until = now_ + time;
        while (const auto at = cache_->timeout()) {
            if (*at > until) break;
            ASSERT_LT(++wakes_, 10'000) << "the timer spins";
            now_ = std::max(now_, *at);
            cache_->handle_timeout(now_);
            run();
        }
        now_ = until;
    }

    /// Lets the cache ask, and nobody answer yet.
    void ask() {
        for (const auto time : {ShardCache::kLookEvery, ShardCache::kSettled}) {
            now_ += time;
            cache_->handle_timeout(now_);
        }
    }

    [[nodiscard]] bool holds_duties() const {
        return std::all_of(duties_.hold.begin(), duties_.hold.end(), [this](const auto& id) {
            return mine_.has(id);
        });
    }

    struct Other {
        std::unique_ptr<data::ShardStore> store;
        std::unique_ptr<ShardTransfer> transfer;
    };

    PeerId self_ = peer_id(kSelfNumber);
    data::Sharded sharded_;
    data::ShardStore mine_;
    Wire wire_;
    std::vector<data::WeightedPeer> peers_;
    std::map<PeerId, Other> others_;
    std::unique_ptr<ShardCache> cache_;
    data::Duties duties_;
    std::size_t replicas_ = 0;
    std::size_t shard_bytes_ = 0;
    std::size_t asked_ = 0;
    int wakes_ = 0;
    Instant now_{std::chrono::hours(1)};
};

TEST_F(Caches, WithoutALimitNothingIsAsked) {
    begin(0);
    fill_all();
    EXPECT_FALSE(cache_->timeout());
    EXPECT_EQ(mine_.held(), sharded_.shards.size());
}

TEST_F(Caches, BelowTheLimitNothingGoes) {
    begin(mine_.bytes());
    fill_all();
    pass(seconds(300));
    EXPECT_EQ(asked_, 0U);
    EXPECT_EQ(mine_.held(), sharded_.shards.size());
}

TEST_F(Caches, WhatIsAboveTheLimitGoesOnceTheHoldersHaveShownThatTheyHoldIt) {
    begin(mine_.bytes() - 3 * shard_bytes_);
    fill_all();
    pass(ShardCache::kSettled - seconds(1));
    EXPECT_EQ(asked_, 0U) << "views may differ still";
    pass(seconds(60));
    EXPECT_EQ(cache_->dropped(), 3U);
    EXPECT_LE(mine_.bytes(), cache_->limit());
    EXPECT_TRUE(holds_duties());
    const auto asked = asked_;
    pass(seconds(60));
    EXPECT_EQ(asked_, asked) << "nobody is asked about what stays";
}

TEST_F(Caches, SpeedsThatChangeAllTheTimeHoldUpWhatTheyDoNotMove) {
    begin(1000);
    fill_all();
    for (std::uint32_t round = 0; round < 60; ++round) {
        pass(seconds(10));
        // Nobody's share moves: all have changed alike.
        for (auto& peer : peers_) peer.weight = 1 + round % 2;
        cache_->set_duties(now_, {self_, duties_.hold, peers_, replicas_});
    }
    EXPECT_EQ(mine_.held(), duties_.hold.size());
}

TEST_F(Caches, DutiesStayWhateverTheLimit) {
    begin(1000);
    fill_all();
    pass(seconds(600));
    EXPECT_EQ(mine_.held(), duties_.hold.size());
    EXPECT_TRUE(holds_duties());
    const auto note = cache_->poll_note();
    ASSERT_TRUE(note);
    EXPECT_NE(note->find("all of it is kept"), std::string::npos) << *note;
    EXPECT_FALSE(cache_->poll_note());
}

TEST_F(Caches, AShardThatOneOfItsHoldersLacksStays) {
    begin(1000);
    for (std::uint8_t n = 1; n <= 3; ++n) fill(peer_id(n));
    pass(seconds(600));
    const auto lacking = data::duties_of(peer_id(4), peers_, sharded_.manifest, replicas_).hold;
    EXPECT_TRUE(std::all_of(lacking.begin(), lacking.end(), [this](const auto& id) {
        return mine_.has(id);
    }));
    EXPECT_GT(cache_->dropped(), 0U) << "the others went";
    fill(peer_id(4));
    pass(seconds(600));
    EXPECT_EQ(mine_.held(), duties_.hold.size());
}

TEST_F(Caches, AnswersFromBeforeAChangeOfDutiesCountNoMore) {
    begin(1000, 0);
    fill_all();
    ask();
    ASSERT_GT(wire_.waiting(), 0U);
    // All others have gone: everything is ours.
    cache_->set_duties(
        now_,
        {self_, data::duties_of(self_, {{{self_, 1}}}, sharded_.manifest, 0).hold, {{self_, 1}}, 0}
    );
    Sent sent{};
    while (wire_.take(sent)) {
        if (sent.frame.to == self_) {
            EXPECT_FALSE(cache_->handle_piece(sent.from, sent.frame.payload));
        } else {
            others_[sent.frame.to].transfer->handle_request(sent.from, sent.frame.payload, false);
        }
    }
    pass(seconds(300));
    EXPECT_EQ(mine_.held(), sharded_.shards.size());
}

TEST_F(Caches, BytesThatAreNoAnswerChangeNothing) {
    begin(1000);
    ask();
    Sent sent{};
    ASSERT_TRUE(wire_.take(sent));
    Bytes piece(sent.frame.payload.begin(), sent.frame.payload.begin() + 32);
    ByteWriter writer(piece);
    writer.put(std::uint32_t{0});
    writer.put(static_cast<std::uint32_t>(shard_bytes_));
    writer.put_bytes(ByteView(piece).first(1));
    EXPECT_TRUE(cache_->handle_piece(sent.frame.to, piece)) << "another place than the last";
    EXPECT_FALSE(cache_->handle_piece(peer_id(77), piece)) << "nobody has asked this one";
    for (std::size_t size = 0; size < 40; ++size) {
        EXPECT_FALSE(cache_->handle_piece(sent.frame.to, ByteView(piece).first(size)));
    }
    EXPECT_EQ(mine_.held(), sharded_.shards.size());
}

}  // namespace
}  // namespace starling::peer
