// Goal: shards reach whoever should hold them, whatever the holders do, and no piece is asked for
// twice of a holder that answers. Method: machines wired directly to each other, with holders that
// lie, refuse, are slow, or vanish, on a clock that the test moves.

#include "peer/transfer/shard_transfer.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <set>

#include "data/dataset.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/terms/data_set.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/peer/transfer/support/wire.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Shards : public ::testing::Test {
protected:
    Shards() : sharded_(data::shard_dataset(tiny(), 100, &sha256)) {
        mine_ = std::make_unique<data::ShardStore>(sharded_.manifest, &sha256);
        transfer_ = std::make_unique<ShardTransfer>(*mine_, wire_.outbox(kSelf));
        for (const auto& shard : sharded_.manifest.shards) wanted_.push_back(shard.id);
    }

    static data::Dataset tiny() {
        data::Dataset dataset;
        dataset.name = "tiny";
        // Samples large enough that a shard travels in several pieces.
        dataset.shape = {1, 64, 64};
        dataset.classes = 2;
        for (std::size_t i = 0; i < 300; ++i) {
            for (std::size_t v = 0; v < 4096; ++v) {
                dataset.train.values.push_back(static_cast<std::uint8_t>(i * 31 + v));
            }
            dataset.train.labels.push_back(static_cast<std::uint16_t>(i % 2));
        }
        dataset.test.values.assign(4096, 1);
        dataset.test.labels.assign(1, 0);
        return dataset;
    }

    void add_holder(std::uint8_t n, std::size_t first, std::size_t count) {
        auto store = std::make_unique<data::ShardStore>(sharded_.manifest, &sha256);
        for (std::size_t i = first; i < first + count; ++i) {
            ASSERT_TRUE(store->put(sharded_.shards[i]).has_value());
        }
        holders_[peer_id(n)] = std::make_unique<ShardTransfer>(*store, wire_.outbox(peer_id(n)));
        stores_.push_back(std::move(store));
        peers_.push_back({peer_id(n), 1});
    }

    void deliver(Sent& sent) {
        auto& [from, frame] = sent;
        if (frame.to == kSelf) {
            if (spoil_ || liars_.contains(from)) {
                frame.payload[frame.payload.size() / 2] ^= std::byte{1};
            }
            transfer_->handle_piece(now_, from, frame.payload);
        } else if (!dead_.contains(frame.to)) {
            const bool first = requested_.insert({frame.to, frame.payload}).second;
            asked_twice_ += first || busy_ ? 0 : 1;
            holders_.at(frame.to)->handle_request(from, frame.payload, busy_);
        }
    }

    /// Delivers all frames. What holders answer comes after `delay_`.
    void run() {
        Sent sent{};
        while (wire_.take(sent)) {
            if (sent.from == kSelf || delay_ == Duration::zero()) {
                deliver(sent);
            } else {
                late_.emplace(now_ + delay_, std::move(sent));
            }
            if (die_after_ > 0 && requested_.size() >= die_after_) dead_.insert(peers_[0].id);
        }
    }

    void pass(Duration time) {
        const Instant until = now_ + time;
        while (now_ < until && transfer_->missing() > 0) {
            auto next = std::min(until, view_at_);
            if (const auto due = transfer_->timeout()) next = std::min(next, *due);
            if (!late_.empty()) next = std::min(next, late_.begin()->first);
            now_ = std::max(now_, next);
            while (!late_.empty() && late_.begin()->first <= now_) {
                auto sent = std::move(late_.begin()->second);
                late_.erase(late_.begin());
                deliver(sent);
            }
            // The view comes first, as it may in the daemon: what it does must not put off the rest.
            if (view_at_ <= now_) {
                view_at_ = now_ + milliseconds(100);
                transfer_->set_holders(now_, peers_);
            }
            transfer_->handle_timeout(now_);
            ASSERT_LT(++wakes_, 100'000U) << "the timer spins";
            run();
        }
        now_ = std::max(now_, until);
    }

    void begin() {
        transfer_->set_holders(now_, peers_);
        transfer_->want(now_, wanted_);
        run();
    }

    static inline const PeerId kSelf = peer_id(1);
    Wire wire_;
    data::Sharded sharded_;
    std::unique_ptr<data::ShardStore> mine_;
    std::unique_ptr<ShardTransfer> transfer_;
    std::map<PeerId, std::unique_ptr<ShardTransfer>> holders_;
    std::vector<std::unique_ptr<data::ShardStore>> stores_;
    std::vector<data::WeightedPeer> peers_;
    std::vector<ShardId> wanted_;
    std::set<PeerId> dead_;
    std::set<PeerId> liars_;
    std::set<std::pair<PeerId, Bytes>> requested_;
    int asked_twice_ = 0;
    std::size_t die_after_ = 0;  ///< the first holder dies after so many requests
    bool spoil_ = false;
    bool busy_ = false;
    Duration delay_{};
    std::multimap<Instant, Sent> late_;
    std::size_t wakes_ = 0;
    Instant now_{seconds(100)};
    Instant view_at_ = now_;
};

TEST(ShardTransfers, WhatIsLastIsAskedForWhenNothingElseIs) {
    data::Dataset dataset;
    dataset.name = "tiny";
    dataset.shape = {1, 1, 1};
    dataset.classes = 2;
    for (std::size_t i = 0; i < 40; ++i) {
        dataset.train.values.push_back(static_cast<std::uint8_t>(i));
        dataset.train.labels.push_back(static_cast<std::uint16_t>(i % 2));
    }
    dataset.test = dataset.train;
    const auto sharded = data::shard_dataset(dataset, 2, &sha256);
    data::ShardStore store(sharded.manifest, &sha256);
    Outbox out;
    ShardTransfer transfer(store, out);
    std::vector<ShardId> wanted;
    ShardTransfer::Last last;
    const auto holder = peer_id(2);
    for (const auto& shard : sharded.manifest.shards) {
        wanted.push_back(shard.id);
        if (shard.split == data::Split::Test)
            last.emplace(shard.id, std::vector{peer_id(77), holder});
    }
    ASSERT_EQ(last.size(), 20U);
    const Instant now{seconds(100)};
    std::vector<data::WeightedPeer> holders;
    for (std::uint8_t n = 2; n < 30; ++n) holders.push_back({peer_id(n), 1});
    transfer.set_holders(now, holders);
    transfer.want(now, wanted, last);
    EXPECT_EQ(transfer.missing(), 40U);
    for (std::size_t done = 0; done < 40; ++done) {
        ASSERT_FALSE(out.empty());
        const auto request = out.front().payload;
        const auto to = out.front().to;
        out.pop_front();
        ByteReader reader(request);
        const ShardId shard{reader.take_array<32>()};
        EXPECT_EQ(last.contains(shard), done >= 20) << done;
        EXPECT_TRUE(done < 20 || to == holder) << "who should hold it is asked first";
        const auto& infos = sharded.manifest.shards;
        const auto at = std::find_if(infos.begin(), infos.end(), [&shard](const auto& info) {
            return info.id == shard;
        });
        const auto& bytes = sharded.shards[static_cast<std::size_t>(at - infos.begin())];
        Bytes piece = request;
        ByteWriter writer(piece);
        writer.put(static_cast<std::uint32_t>(bytes.size()));
        writer.put_bytes(bytes);
        EXPECT_TRUE(transfer.handle_piece(now, to, piece));
    }
    EXPECT_EQ(transfer.missing(), 0U);
}

TEST_F(Shards, WhileItIsHeldBackNothingIsAskedAndNothingIsLost) {
    add_holder(2, 0, sharded_.shards.size());
    transfer_->set_holders(now_, peers_);
    transfer_->want(now_, wanted_);
    // The first pieces come, and none is asked for after them.
    transfer_->hold(now_ + seconds(2));
    run();
    const auto asked = requested_.size();
    EXPECT_LE(asked, ShardTransfer::kFetchesMax);
    EXPECT_GT(transfer_->bytes_fetched(), 0U);
    EXPECT_FALSE(transfer_->fetching());
    pass(seconds(1));
    EXPECT_EQ(requested_.size(), asked) << "a new view begins no fetch either";
    EXPECT_GT(transfer_->missing(), 0U);
    pass(seconds(2));
    EXPECT_EQ(transfer_->missing(), 0U);
    EXPECT_EQ(asked_twice_, 0U);
}

TEST_F(Shards, AreFoundAtWhoeverHoldsThem) {
    add_holder(2, 0, 2);
    add_holder(3, 2, sharded_.shards.size() - 2);
    begin();
    EXPECT_EQ(transfer_->missing(), 0U);
    EXPECT_EQ(mine_->held(), sharded_.shards.size());
    EXPECT_EQ(transfer_->timeout(), std::nullopt) << "nothing is wanted, so nothing wakes us";
}

TEST_F(Shards, DamagedPiecesAreRefusedAndAskedForElsewhere) {
    add_holder(2, 0, sharded_.shards.size());
    spoil_ = true;
    begin();
    EXPECT_EQ(mine_->held(), 0U);
    EXPECT_GT(transfer_->rejected(), 0U);
    spoil_ = false;
    pass(seconds(2));
    EXPECT_EQ(transfer_->missing(), 0U);
}

TEST_F(Shards, AHolderThatStopsAnsweringIsReplacedAfterItsDeadline) {
    add_holder(2, 0, sharded_.shards.size());
    add_holder(3, 0, sharded_.shards.size());
    dead_.insert(peer_id(2));
    begin();
    pass(ShardTransfer::kPieceTimeout + seconds(2));
    EXPECT_EQ(transfer_->missing(), 0U);
}

TEST_F(Shards, NobodyHoldingThemIsAskedAgainAndAgainWithoutSpinning) {
    add_holder(2, 0, 0);
    begin();
    EXPECT_EQ(transfer_->missing(), sharded_.shards.size());
    const Instant before = now_;
    std::size_t wakes = 0;
    while (now_ < before + seconds(5)) {
        const auto next = transfer_->timeout();
        ASSERT_TRUE(next.has_value());
        now_ = std::max(now_, *next);
        transfer_->handle_timeout(now_);
        run();
        ASSERT_LT(++wakes, 100U) << "the timer spins";
    }
}

TEST_F(Shards, AreAskedForAgainAlthoughTheHoldersAreNamedAllTheTime) {
    add_holder(2, 0, sharded_.shards.size());
    busy_ = true;
    begin();
    pass(seconds(3));
    ASSERT_EQ(mine_->held(), 0U);
    busy_ = false;
    pass(seconds(1));
    EXPECT_EQ(transfer_->missing(), 0U);
}

TEST_F(Shards, ASlowLinkCostsTimeAndFewPiecesTwice) {
    add_holder(2, 0, sharded_.shards.size());
    delay_ = seconds(15);  // longer than the first deadline
    begin();
    pass(seconds(150));
    EXPECT_EQ(transfer_->missing(), 0U);
    EXPECT_LE(asked_twice_, static_cast<int>(2 * ShardTransfer::kFetchesMax));
}

TEST_F(Shards, WhatAHolderGaveBeforeItDiedIsKept) {
    add_holder(2, 0, sharded_.shards.size());
    add_holder(3, 0, sharded_.shards.size());
    die_after_ = sharded_.shards.size() + 2;
    begin();
    transfer_->handle_broken(now_, peer_id(2));
    run();
    EXPECT_EQ(transfer_->missing(), 0U);
    std::uint64_t bytes = 0;
    for (const auto& shard : sharded_.shards) bytes += shard.size();
    EXPECT_EQ(transfer_->bytes_fetched(), bytes) << "no byte came twice";
}

TEST_F(Shards, ALiarAmongTheHoldersIsFoundAndPassedBy) {
    for (std::uint8_t n = 2; n <= 4; ++n) add_holder(n, 0, sharded_.shards.size());
    liars_.insert(peer_id(2));
    begin();
    pass(seconds(10));
    EXPECT_EQ(transfer_->missing(), 0U);
}

TEST_F(Shards, DutiesThatChangeToAndFroCostNothingTwice) {
    add_holder(2, 0, sharded_.shards.size());
    delay_ = milliseconds(50);
    transfer_->set_holders(now_, peers_);
    for (int i = 0; i < 10; ++i) {
        transfer_->want(now_, wanted_);
        pass(milliseconds(30));
        transfer_->want(now_, {});
        run();
    }
    transfer_->want(now_, wanted_);
    pass(seconds(5));
    EXPECT_EQ(transfer_->missing(), 0U);
    EXPECT_EQ(asked_twice_, 0);
}

TEST_F(Shards, MalformedRequestsAreCountedAndNotAnswered) {
    add_holder(2, 0, 1);
    for (std::size_t length : {0U, 1U, 35U, 37U, 200U}) {
        holders_.at(peer_id(2))->handle_request(kSelf, Bytes(length), false);
    }
    EXPECT_EQ(wire_.waiting(), 0U);
    EXPECT_EQ(holders_.at(peer_id(2))->rejected(), 5U);
}

TEST_F(Shards, NoFetchBeginsWhileTooMuchWaitsToBeWritten) {
    mine_->on_arrival([] {}, sharded_.shards[0].size());
    for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(mine_->put(sharded_.shards[i]).has_value());
    add_holder(2, 0, sharded_.shards.size());
    begin();
    pass(seconds(5));
    EXPECT_TRUE(mine_->crowded());
    EXPECT_EQ(mine_->held(), 2U);
    EXPECT_TRUE(requested_.empty());
    auto file = share(sharded_.shards[0]);
    file.mapped = true;
    ASSERT_TRUE(mine_->put_known(sharded_.manifest.shards[0].id, std::move(file)).has_value());
    pass(milliseconds(200));
    EXPECT_EQ(mine_->held(), sharded_.shards.size());
}

TEST(FiledShards, AreGivenFromTheFileAsLongAsItIsTheSame) {
    starling::testing::TemporaryDirectory directory;
    for (const auto* name : {"train.bin", "val.bin"}) {
        std::string tokens;
        for (int i = 0; i < 50'000; ++i) {
            tokens += static_cast<char>(i % 61);
            tokens += '\0';
        }
        starling::testing::write_quickly(directory.path() / name, as_byte_view(tokens));
    }
    const auto spec = "bin:" + directory.path().string() + "?context=8192&vocab=64";
    const auto cut = cut_for_swarm(spec, "");
    ASSERT_TRUE(cut.has_value()) << cut.error().message;
    const auto& manifest = cut->sharded.manifest;
    ASSERT_NE(cut->sharded.shards[0].extents, nullptr);
    data::ShardStore store(manifest, &sha256);
    ASSERT_TRUE(store.put_known(manifest.shards[0].id, cut->sharded.shards[0]).has_value());
    Outbox out;
    ShardTransfer transfer(store, out);
    const auto answer = [&] {
        Bytes request;
        ByteWriter writer(request);
        writer.put_array(manifest.shards[0].id.bytes);
        writer.put(std::uint32_t{0});
        out.clear();
        transfer.handle_request(PeerId{}, request, false);
        return out.at(0).payload;
    };
    // A piece is the id, its offset, the size of all, and the bytes.
    const auto given = answer();
    EXPECT_EQ(given.size(), 40U + manifest.shards[0].bytes);
    EXPECT_EQ(sha256(ByteView(given).subspan(40)), manifest.shards[0].id.bytes);
    starling::testing::write_quickly(directory.path() / "train.bin", as_byte_view("other"));
    const auto refused = answer();
    EXPECT_EQ(refused.size(), 40U);
    EXPECT_EQ(store.give_up_changed().size(), 1U);
}

TEST(PrivateShards, AreNotGivenToWhoGuessesTheirId) {
    data::Dataset dataset;
    dataset.name = "tiny";
    dataset.shape = {1, 2, 2};
    dataset.classes = 2;
    dataset.train.values.assign(40, 3);
    dataset.train.labels.assign(10, 1);
    auto sharded = data::shard_dataset(dataset, 10, &sha256);
    for (const auto mode : {data::DataMode::Shared, data::DataMode::Private}) {
        sharded.manifest.mode = mode;
        data::ShardStore store(sharded.manifest, &sha256);
        ASSERT_TRUE(store.put(sharded.shards[0]).has_value());
        Outbox out;
        ShardTransfer transfer(store, out);
        Bytes request;
        ByteWriter writer(request);
        writer.put_array(sharded.manifest.shards[0].id.bytes);
        writer.put(std::uint32_t{0});
        transfer.handle_request(peer_id(1), request, false);
        ASSERT_EQ(out.size(), 1U);
        const bool hidden = mode == data::DataMode::Private;
        // 40 bytes of head say that it is not held.
        EXPECT_EQ(out.front().payload.size() > 40, !hidden);
        EXPECT_EQ(transfer.denied(), hidden ? 1U : 0U);
    }
}

}  // namespace
}  // namespace starling::peer
