// Goal: the present parameters reach a newcomer whatever the donors do. Method: both sides of the
// transfer are wired directly to each other, with donors that lie, refuse, are slow, silent, or
// vanish, on a clock that the test moves, wherever the parameters lie. As in the daemon, the
// candidates are named anew ten times a second.

#include "peer/transfer/state_fetch.hpp"

#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <memory>
#include <set>

#include "peer/transfer/state_donor.hpp"
#include "peer/transfer/store_chunks.hpp"
#include "tests/unit/compute/support/homes.hpp"
#include "tests/unit/peer/transfer/support/wire.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kSalt = 7;

compute::ParameterLayout chunks(std::size_t count) {
    compute::ParameterInfo weights;
    weights.name = "w";
    weights.shape = {static_cast<std::int64_t>((count - 1) * compute::kChunkElements + 100)};
    weights.init = compute::Init::UniformFanIn;
    return compute::ParameterLayout({weights});
}

class StateTransfer : public ::testing::TestWithParam<compute::HomeKind> {
protected:
    StateTransfer() { layout_.bytes[0] = 1; }

    /// Makes a swarm whose model has `count` chunks, and donors 2 to `last`.
    void make(std::size_t count, std::uint8_t last) {
        mine_ = store_of(count);
        theirs_ = store_of(count);
        mine_chunks_ = std::make_unique<StoreChunks>(*mine_, 1);
        their_chunks_ = std::make_unique<StoreChunks>(*theirs_, 2);
        their_chunks_->initialize();
        fetch_ = std::make_unique<StateFetch>(*mine_chunks_, layout_, kSalt, wire_.outbox(kSelf));
        for (std::uint8_t n = 2; n <= last; ++n) {
            donors_.emplace(
                peer_id(n), StateDonor(*their_chunks_, layout_, wire_.outbox(peer_id(n)))
            );
            candidates_.push_back(peer_id(n));
        }
    }

    static std::unique_ptr<compute::ParameterStore> store_of(std::size_t count) {
        const auto layout = chunks(count);
        return std::make_unique<compute::ParameterStore>(
            layout, GetParam().make(layout.elements())
        );
    }

    /// Begins anew, with these chunks as an earlier life has fetched them.
    void fetch_with(std::vector<std::uint32_t> kept) {
        fetch_ = std::make_unique<StateFetch>(
            *mine_chunks_, layout_, kSalt, wire_.outbox(kSelf), std::move(kept)
        );
    }

    /// Returns how many bytes a request asks for.
    [[nodiscard]] std::size_t asked_bytes(const Bytes& payload) const {
        ByteReader reader(payload);
        const auto chunk = reader.take<std::uint32_t>();
        if (reader.finished()) return mine_chunks_->chunk_bytes(chunk);
        (void)reader.take<std::uint32_t>();
        return reader.take<std::uint32_t>();
    }

    void name_candidates() { fetch_->set_candidates(now_, candidates_); }

    void deliver(const Sent& sent) {
        const auto& [from, frame] = sent;
        if (frame.to == kSelf) {
            if (frame.type == FrameType::StateInfo) {
                // Earlier releases do not say that they give pieces.
                const std::size_t size = frame.payload.size() - (old_.contains(from) ? 1 : 0);
                fetch_->handle_info(now_, from, ByteView(frame.payload).first(size));
            }
            if (frame.type == FrameType::StateChunk) {
                fetch_->handle_chunk(now_, from, frame.payload);
            }
            return;
        }
        if (silent_.contains(frame.to)) return;
        auto& donor = donors_.at(frame.to);
        if (frame.type == FrameType::StateInfoRequest) {
            ++asked_[frame.to];
            donor.handle_info_request(from, ready_, 77);
        }
        if (frame.type == FrameType::StateRequest) {
            const auto request = std::pair(frame.to, frame.payload);
            if (!busy_) asked_twice_ += requested_.insert(request).second ? 0 : 1;
            donor.handle_request(from, frame.payload, busy_);
        }
    }

    /// Delivers all frames. What a slow donor answers comes after `delay_`.
    void run() {
        Sent sent{};
        while (wire_.take(sent)) {
            if (sent.from == kSelf || delay_ == Duration::zero()) {
                deliver(sent);
            } else {
                late_.emplace(now_ + delay_, std::move(sent));
            }
        }
    }

    void pass(Duration time) {
        const Instant until = now_ + time;
        while (now_ < until && !fetch_->complete()) {
            auto next = std::min(until, view_at_);
            if (const auto due = fetch_->timeout()) next = std::min(next, *due);
            if (!late_.empty()) next = std::min(next, late_.begin()->first);
            now_ = std::max(now_, next);
            while (!late_.empty() && late_.begin()->first <= now_) {
                const auto sent = std::move(late_.begin()->second);
                late_.erase(late_.begin());
                deliver(sent);
            }
            // The view comes first, as it may in the daemon: what it does must not put off the rest.
            if (view_at_ <= now_) {
                view_at_ = now_ + milliseconds(100);
                name_candidates();
            }
            fetch_->handle_timeout(now_);
            ASSERT_LT(++wakes_, 100'000U) << "the timer spins";
            run();
        }
        now_ = std::max(now_, until);
    }

    void expect_all_values() {
        std::vector<float> mine(mine_->layout().elements());
        std::vector<float> theirs(mine.size());
        mine_->read_all(mine);
        theirs_->read_all(theirs);
        EXPECT_EQ(mine, theirs);
    }

    static inline const PeerId kSelf = peer_id(1);
    Wire wire_;
    LayoutHash layout_;
    std::unique_ptr<compute::ParameterStore> mine_;
    std::unique_ptr<compute::ParameterStore> theirs_;
    std::unique_ptr<StoreChunks> mine_chunks_;
    std::unique_ptr<StoreChunks> their_chunks_;
    std::unique_ptr<StateFetch> fetch_;
    std::map<PeerId, StateDonor> donors_;
    std::vector<PeerId> candidates_;
    std::set<PeerId> silent_;
    std::set<PeerId> old_;
    std::map<PeerId, int> asked_;
    std::set<std::pair<PeerId, Bytes>> requested_;
    int asked_twice_ = 0;
    bool busy_ = false;
    bool ready_ = true;
    Duration delay_{};
    std::multimap<Instant, Sent> late_;
    std::size_t wakes_ = 0;
    Instant now_{seconds(100)};
    Instant view_at_ = now_;
};

INSTANTIATE_TEST_SUITE_P(In, StateTransfer, compute::kHomes, compute::name_of);

TEST_P(StateTransfer, FetchesEveryChunkFromSeveralDonors) {
    make(3, 3);
    name_candidates();
    run();
    EXPECT_TRUE(fetch_->complete());
    EXPECT_EQ(fetch_->donors(), 2U);
    EXPECT_EQ(fetch_->schedule_step(), 77U);
    EXPECT_EQ(asked_twice_, 0);
    EXPECT_EQ(fetch_->timeout(), std::nullopt) << "nothing is missing, so nothing wakes us";
    expect_all_values();
}

TEST_P(StateTransfer, ADonorThatWasSilentAtFirstIsAskedAgain) {
    make(3, 2);
    silent_.insert(peer_id(2));
    pass(seconds(3));
    ASSERT_FALSE(fetch_->complete());
    silent_.clear();
    pass(StateFetch::kSilenceMax + StateFetch::kAnswerTimeout);
    EXPECT_TRUE(fetch_->complete());
}

TEST_P(StateTransfer, OneThatAnswersIsFoundAmongManyThatAreSilent) {
    make(3, 40);
    for (std::uint8_t n = 2; n < 40; ++n) silent_.insert(peer_id(n));
    pass(seconds(12));
    EXPECT_TRUE(fetch_->complete());
    EXPECT_EQ(asked_twice_, 0);
}

TEST_P(StateTransfer, FourAreAskedAndNotTheWholeSwarm) {
    make(3, 100);
    name_candidates();
    run();
    EXPECT_TRUE(fetch_->complete());
    EXPECT_EQ(asked_.size(), StateFetch::kDonorsMax);
}

TEST_P(StateTransfer, ADonorThatIsNotReadyIsAskedAgainSoon) {
    make(3, 2);
    ready_ = false;
    pass(seconds(5));
    EXPECT_LE(asked_[peer_id(2)], 21);
    ready_ = true;
    pass(seconds(1));
    EXPECT_TRUE(fetch_->complete());
}

TEST_P(StateTransfer, WhatAnEarlierLifeHasFetchedIsComparedAndNotFetchedAgain) {
    make(6, 3);
    // Chunks 0, 2 and 5 are here. They are of an earlier moment, and a little off.
    std::vector<float> theirs(theirs_->layout().elements());
    theirs_->read_all(theirs);
    for (const std::uint32_t chunk : {0U, 2U, 5U}) {
        Bytes bytes(mine_chunks_->chunk_bytes(chunk));
        ASSERT_TRUE(their_chunks_->try_read(chunk, bytes));
        auto* first = reinterpret_cast<float*>(bytes.data());
        *first += 0.001F;
        ASSERT_TRUE(mine_chunks_->write(chunk, bytes));
    }
    fetch_with({0, 2, 5});
    name_candidates();
    run();
    EXPECT_TRUE(fetch_->complete());
    EXPECT_EQ(asked_twice_, 0);
    std::size_t bytes = 0;
    for (const auto& [to, payload] : requested_) bytes += asked_bytes(payload);
    const std::size_t rest = 3 * mine_chunks_->chunk_bytes(1);
    EXPECT_GE(bytes, rest);
    EXPECT_LE(bytes, rest + CopyCheck::kExcerpts * CopyCheck::kExcerptBytes);
    std::vector<float> mine(theirs.size());
    mine_->read_all(mine);
    EXPECT_NE(mine, theirs);
    mine[0] = theirs[0];
    mine[2 * compute::kChunkElements] = theirs[2 * compute::kChunkElements];
    mine[5 * compute::kChunkElements] = theirs[5 * compute::kChunkElements];
    EXPECT_EQ(mine, theirs);
}

TEST_P(StateTransfer, WhatAnEarlierLifeHasFetchedIsFetchedAnewIfItIsUnlikeThatOfOthers) {
    for (const auto last : {std::uint8_t{2}, std::uint8_t{4}}) {
        donors_.clear();
        candidates_.clear();
        make(6, last);
        mine_chunks_->initialize();  // of another seed
        fetch_with({0, 1, 2, 3, 4, 5});
        name_candidates();
        run();
        EXPECT_TRUE(fetch_->complete());
        expect_all_values();
        EXPECT_EQ(fetch_->refused(), 0U) << "no donor is to blame";
        const auto note = fetch_->poll_note();
        ASSERT_TRUE(note.has_value());
        EXPECT_NE(note->find("fetching them anew"), std::string::npos) << *note;
        EXPECT_FALSE(fetch_->poll_note().has_value());
    }
}

TEST_P(StateTransfer, ChunksThatDoNotExistAreNotTakenFromAnEarlierLife) {
    make(3, 2);
    fetch_with({7, 4'000'000'000U});
    name_candidates();
    run();
    EXPECT_TRUE(fetch_->complete());
    expect_all_values();
}

TEST_P(StateTransfer, ADonorThatVanishesCostsItsChunksAndNoMore) {
    make(3, 3);
    name_candidates();
    silent_.insert(peer_id(3));
    run();
    pass(seconds(8));
    EXPECT_TRUE(fetch_->complete());
    expect_all_values();
}

TEST_P(StateTransfer, ASlowLinkCostsTimeAndNoChunkTwice) {
    make(12, 2);
    delay_ = seconds(6);  // longer than the first deadline
    pass(seconds(90));
    EXPECT_TRUE(fetch_->complete());
    EXPECT_LE(asked_twice_, 2) << "only those asked before the link was known to be slow";
    expect_all_values();
}

TEST_P(StateTransfer, ABrokenStreamIsRetriedElsewhereAtOnce) {
    make(3, 3);
    name_candidates();
    silent_.insert(peer_id(2));
    fetch_->handle_broken(now_, peer_id(2));
    run();
    EXPECT_TRUE(fetch_->complete());
}

TEST_P(StateTransfer, BusyDonorsAreAskedAgainAndNotWithoutPause) {
    make(3, 2);
    busy_ = true;
    pass(seconds(5));
    EXPECT_FALSE(fetch_->complete());
    EXPECT_LT(wakes_, 200U);
    busy_ = false;
    pass(seconds(1));
    EXPECT_TRUE(fetch_->complete());
}

TEST_P(StateTransfer, ABusyDonorThatVanishesDoesNotKeepUsAwake) {
    make(3, 2);
    busy_ = true;
    name_candidates();
    run();
    ASSERT_EQ(fetch_->donors(), 1U);
    fetch_->handle_broken(now_, peer_id(2));
    candidates_.clear();
    pass(seconds(3));
    EXPECT_LT(wakes_, 50U);
}

TEST_P(StateTransfer, NotANumberAndWrongSizesNeverReachTheStore) {
    make(3, 2);
    std::vector<float> before(mine_->layout().elements());
    mine_->read_all(before);
    name_candidates();
    Sent sent{};
    while (wire_.take(sent)) {
        if (sent.frame.type != FrameType::StateRequest) deliver(sent);
    }
    ASSERT_EQ(fetch_->donors(), 1U);

    const auto answer = [](std::size_t floats, float fifth) {
        Bytes bytes;
        ByteWriter writer(bytes);
        writer.put(std::uint32_t{0});
        writer.put(std::uint8_t{2});
        writer.put(std::uint32_t{0});
        for (std::size_t i = 0; i < floats; ++i) writer.put(i == 5 ? fifth : 1.0F);
        return bytes;
    };
    constexpr auto kFloats = ChunkPieces::kUnit / sizeof(float);
    fetch_->handle_chunk(now_, peer_id(2), answer(kFloats + 1, 1.0F));
    EXPECT_EQ(fetch_->progress(), 0U) << "nobody asked for so many";
    fetch_->handle_chunk(
        now_, peer_id(2), answer(kFloats, std::numeric_limits<float>::quiet_NaN())
    );
    EXPECT_EQ(fetch_->progress(), 0U);
    std::vector<float> after(before.size());
    mine_->read_all(after);
    EXPECT_EQ(after, before);
    EXPECT_EQ(fetch_->donors(), 0U) << "a donor that sends nonsense is no donor";
}

TEST_P(StateTransfer, ADonorOfAnEarlierReleaseIsAskedForWholeChunks) {
    make(3, 2);
    old_.insert(peer_id(2));
    pass(seconds(1));
    EXPECT_TRUE(fetch_->complete());
    expect_all_values();
    for (const auto& [to, payload] : requested_) EXPECT_EQ(payload.size(), 4U);
}

TEST_P(StateTransfer, ARightAnswerIsUsedAlsoAfterItWasGivenUp) {
    make(2, 2);
    name_candidates();
    std::vector<Bytes> held;
    Sent sent{};
    while (wire_.take(sent)) {
        if (sent.frame.type == FrameType::StateRequest) {
            held.push_back(sent.frame.payload);
        } else {
            deliver(sent);
        }
    }
    ASSERT_FALSE(held.empty());
    silent_.insert(peer_id(2));
    pass(seconds(7));
    ASSERT_EQ(fetch_->donors(), 0U) << "its time is over";
    for (const auto& request : held) donors_.at(peer_id(2)).handle_request(kSelf, request, false);
    run();
    EXPECT_EQ(fetch_->progress(), held.size());
    silent_.clear();
    pass(seconds(5));
    EXPECT_TRUE(fetch_->complete());
    EXPECT_EQ(asked_twice_, 0);
    for (const auto& request : held) {
        EXPECT_FALSE(requested_.contains({peer_id(2), request}))
            << "what is here is not asked again";
    }
    expect_all_values();
}

TEST_P(StateTransfer, NobodyGivesWhoWasNotAsked) {
    make(3, 2);
    name_candidates();
    Sent sent{};
    ASSERT_TRUE(wire_.take(sent));
    StateDonor stranger(*their_chunks_, layout_, wire_.outbox(peer_id(9)));
    stranger.handle_info_request(kSelf, true, 5);
    Bytes chunk;
    ByteWriter(chunk).put(std::uint32_t{0});
    stranger.handle_request(kSelf, chunk, false);
    run();
    EXPECT_EQ(fetch_->donors(), 0U);
    EXPECT_EQ(fetch_->chunks_done(), 0U);
    EXPECT_EQ(fetch_->schedule_step(), 0U);
}

TEST_P(StateTransfer, AnotherLayoutIsNoDonor) {
    make(3, 2);
    LayoutHash other;
    other.bytes[0] = 9;
    donors_.erase(peer_id(2));
    donors_.emplace(peer_id(2), StateDonor(*their_chunks_, other, wire_.outbox(peer_id(2))));
    pass(seconds(5));
    EXPECT_EQ(fetch_->donors(), 0U);
    EXPECT_EQ(asked_[peer_id(2)], 1);
}

}  // namespace
}  // namespace starling::peer
