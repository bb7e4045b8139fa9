// Goal: state and shards reach a newcomer whatever the donors do. Method: both sides of each
// transfer are wired directly to each other, with donors that lie, refuse, or vanish, on a clock
// that the test moves.

#include <deque>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <memory>

#include "data/dataset.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/transfer/shard_transfer.hpp"
#include "peer/transfer/state_transfer.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

PeerId peer_id(std::uint8_t n) {
    PeerId id;
    id.bytes[0] = n;
    return id;
}

struct Sent {
    PeerId from;
    PeerId to;
    FrameType type;
    Bytes payload;
};

/// Frames in flight between the machines of one test.
class Wire {
public:
    SendFrame sender(const PeerId& from) {
        return [this, from](const PeerId& to, FrameType type, Bytes payload) {
            frames_.push_back({from, to, type, std::move(payload)});
        };
    }

    bool take(Sent& out) {
        if (frames_.empty()) return false;
        out = std::move(frames_.front());
        frames_.pop_front();
        return true;
    }

    [[nodiscard]] std::size_t waiting() const { return frames_.size(); }

private:
    std::deque<Sent> frames_;
};

compute::ParameterLayout three_chunks() {
    compute::ParameterInfo weights;
    weights.name = "w";
    weights.shape = {static_cast<std::int64_t>(2 * compute::kChunkElements + 100)};
    weights.init = compute::Init::UniformFanIn;
    return compute::ParameterLayout({weights});
}

std::vector<float> all_values(compute::ParameterStore& store) {
    std::vector<float> values(store.layout().elements());
    store.read_all(values);
    return values;
}

class StateTransfer : public ::testing::Test {
protected:
    StateTransfer() : mine_(three_chunks()), theirs_(three_chunks()) {
        theirs_.initialize(Rng(1));
        layout_.bytes[0] = 1;
        fetch_ = std::make_unique<StateFetch>(mine_, layout_, wire_.sender(kSelf));
        for (std::uint8_t n = 2; n <= 3; ++n) {
            donors_.emplace(peer_id(n), StateDonor(theirs_, layout_, wire_.sender(peer_id(n))));
        }
    }

    /// Delivers all frames; those to a dead donor vanish.
    void run() {
        Sent sent{};
        while (wire_.take(sent)) {
            if (sent.to == kSelf) {
                if (sent.type == FrameType::StateInfo)
                    fetch_->handle_info(now_, sent.from, sent.payload);
                if (sent.type == FrameType::StateChunk) {
                    fetch_->handle_chunk(now_, sent.from, sent.payload);
                }
                continue;
            }
            if (dead_.contains(sent.to)) continue;
            auto& donor = donors_.at(sent.to);
            if (sent.type == FrameType::StateInfoRequest)
                donor.handle_info_request(sent.from, true, 77);
            if (sent.type == FrameType::StateRequest)
                donor.handle_request(sent.from, sent.payload, busy_);
        }
    }

    void pass(Duration time) {
        const Instant until = now_ + time;
        while (const auto next = fetch_->timeout()) {
            if (*next > until) break;
            now_ = std::max(now_ + milliseconds(1), *next);
            fetch_->handle_timeout(now_);
            run();
        }
        now_ = until;
    }

    static inline const PeerId kSelf = peer_id(1);
    Wire wire_;
    compute::ParameterStore mine_;
    compute::ParameterStore theirs_;
    LayoutHash layout_;
    std::unique_ptr<StateFetch> fetch_;
    std::map<PeerId, StateDonor> donors_;
    std::set<PeerId> dead_;
    bool busy_ = false;
    Instant now_{seconds(100)};
};

TEST_F(StateTransfer, FetchesEveryChunkFromSeveralDonors) {
    fetch_->set_candidates(now_, {peer_id(2), peer_id(3)});
    run();
    EXPECT_TRUE(fetch_->complete());
    EXPECT_EQ(fetch_->donors(), 2U);
    EXPECT_EQ(fetch_->schedule_step(), 77U);
    EXPECT_EQ(all_values(mine_), all_values(theirs_));
}

TEST_F(StateTransfer, ADonorThatVanishesCostsItsChunksAndNoMore) {
    fetch_->set_candidates(now_, {peer_id(2), peer_id(3)});
    dead_.insert(peer_id(3));
    run();
    pass(seconds(6));
    EXPECT_TRUE(fetch_->complete());
    EXPECT_EQ(all_values(mine_), all_values(theirs_));
}

TEST_F(StateTransfer, ABrokenStreamIsRetriedElsewhereAtOnce) {
    fetch_->set_candidates(now_, {peer_id(2), peer_id(3)});
    dead_.insert(peer_id(2));
    fetch_->handle_broken(now_, peer_id(2));
    run();
    EXPECT_TRUE(fetch_->complete());
}

TEST_F(StateTransfer, BusyDonorsAreAskedAgain) {
    busy_ = true;
    fetch_->set_candidates(now_, {peer_id(2)});
    run();
    EXPECT_FALSE(fetch_->complete());
    busy_ = false;
    pass(seconds(1));
    EXPECT_TRUE(fetch_->complete());
}

TEST_F(StateTransfer, NotANumberAndWrongSizesNeverReachTheStore) {
    const auto before = all_values(mine_);
    fetch_->set_candidates(now_, {peer_id(2)});
    Sent sent{};
    ASSERT_TRUE(wire_.take(sent));
    donors_.at(peer_id(2)).handle_info_request(kSelf, true, 0);
    ASSERT_TRUE(wire_.take(sent));
    fetch_->handle_info(now_, peer_id(2), sent.payload);
    ASSERT_GT(wire_.waiting(), 0U);

    Bytes poisoned;
    ByteWriter writer(poisoned);
    writer.put(std::uint32_t{0});
    writer.put(std::uint8_t{0});
    for (std::size_t i = 0; i < compute::kChunkElements; ++i) {
        writer.put(i == 5 ? std::numeric_limits<float>::quiet_NaN() : 1.0F);
    }
    fetch_->handle_chunk(now_, peer_id(2), poisoned);
    EXPECT_EQ(fetch_->chunks_done(), 0U);
    EXPECT_EQ(all_values(mine_), before);

    Bytes cut(poisoned.begin(), poisoned.begin() + 100);
    fetch_->handle_chunk(now_, peer_id(2), cut);
    EXPECT_EQ(fetch_->chunks_done(), 0U);
    EXPECT_EQ(fetch_->donors(), 0U) << "a donor that sends nonsense is no donor";
}

TEST_F(StateTransfer, AnotherLayoutIsNoDonor) {
    LayoutHash other;
    other.bytes[0] = 9;
    StateDonor stranger(theirs_, other, wire_.sender(peer_id(4)));
    fetch_->set_candidates(now_, {peer_id(4)});
    Sent sent{};
    ASSERT_TRUE(wire_.take(sent));
    stranger.handle_info_request(kSelf, true, 0);
    ASSERT_TRUE(wire_.take(sent));
    fetch_->handle_info(now_, peer_id(4), sent.payload);
    EXPECT_EQ(fetch_->donors(), 0U);
    EXPECT_EQ(wire_.waiting(), 0U);
}

class Shards : public ::testing::Test {
protected:
    Shards() : sharded_(data::shard_dataset(tiny(), 100, &sha256)) {
        mine_ = std::make_unique<data::ShardStore>(sharded_.manifest, &sha256);
        transfer_ = std::make_unique<ShardTransfer>(*mine_, wire_.sender(kSelf));
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
        holders_[peer_id(n)] = std::make_unique<ShardTransfer>(*store, wire_.sender(peer_id(n)));
        stores_.push_back(std::move(store));
        peers_.push_back({peer_id(n), 1});
    }

    void run() {
        Sent sent{};
        while (wire_.take(sent)) {
            if (sent.to == kSelf) {
                if (spoil_) sent.payload[sent.payload.size() / 2] ^= std::byte{1};
                transfer_->handle_piece(now_, sent.from, sent.payload);
            } else if (!dead_.contains(sent.to)) {
                holders_.at(sent.to)->handle_request(sent.from, sent.payload, false);
            }
        }
    }

    void pass(Duration time) {
        const Instant until = now_ + time;
        while (const auto next = transfer_->timeout()) {
            if (*next > until) break;
            now_ = std::max(now_ + milliseconds(1), *next);
            transfer_->handle_timeout(now_);
            run();
        }
        now_ = until;
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
    bool spoil_ = false;
    Instant now_{seconds(100)};
};

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

TEST_F(Shards, MalformedRequestsAreCountedAndNotAnswered) {
    add_holder(2, 0, 1);
    for (std::size_t length : {0U, 1U, 35U, 37U, 200U}) {
        holders_.at(peer_id(2))->handle_request(kSelf, Bytes(length), false);
    }
    EXPECT_EQ(wire_.waiting(), 0U);
    EXPECT_EQ(holders_.at(peer_id(2))->rejected(), 5U);
}

}  // namespace
}  // namespace starling::peer
