// Goal: of a test split that is too large for everybody a session holds and judges its share, moves it when a target was
// missed and never while the swarm ends, and its last word is that of all together. Method: one session among four
// partners that the test plays, on a clock that it moves.

#include <gtest/gtest.h>
#include <set>

#include "tests/unit/peer/session/support/session_rig.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kTests = 20;

SessionRig::Setup in_shares(const std::string& mix = "pairwise") {
    SessionRig::Setup setup;
    setup.test_shards = kTests;
    // A shard of four samples has some dozens of bytes.
    setup.whole_split = 200;
    setup.change = [mix](Descriptor& d) {
        d.until = {UntilKind::Accuracy, 0.9};
        d.mix = mix;
    };
    return setup;
}

class SharingSession : public ::testing::Test {
protected:
    explicit SharingSession(const SessionRig::Setup& setup = in_shares()) : rig(setup) {
        for (std::uint8_t n = 1; n <= 4; ++n) rig.other(peer_id(n));
    }

    /// Returns the newest order.
    static const TrainerOrder& order(const Given& given) {
        EXPECT_FALSE(given.orders.empty());
        return given.orders.back();
    }

    Given train() {
        (void)rig.begin(Start::Found);
        (void)rig.tell_prepared();
        auto given = rig.settle_down();
        EXPECT_EQ(rig.session.state(), PeerState::Training);
        return given;
    }

    Given settle() {
        for (std::uint8_t n = 1; n <= 4; ++n) {
            auto& record = rig.other(peer_id(n), PeerState::Settling);
            record.ending = true;
            record.round = rig.session.record().round;
        }
        auto given = rig.up();
        given.add(rig.settle_down());
        EXPECT_EQ(rig.session.state(), PeerState::Settling);
        return given;
    }

    Given evaluate() {
        Given given;
        for (std::uint8_t n = 1; n <= 4; ++n) given.add(rig.exchange(committed(0, peer_id(n))));
        given.add(rig.settle_down());
        EXPECT_EQ(rig.session.state(), PeerState::Evaluating);
        return given;
    }

    [[nodiscard]] PortionWord word(std::size_t portion, std::uint64_t right) const {
        PortionWord word;
        word.round = rig.session.record().round;
        word.portion = static_cast<std::uint16_t>(portion);
        word.portions = static_cast<std::uint16_t>(rig.session.share().portions_of_all);
        word.result.samples = 4;
        word.result.correct = right;
        word.result.loss_sum = 1.0;
        return word;
    }

    /// Our trainer has judged what it was told to.
    Given judge(const TrainerOrder& order, std::uint64_t right) {
        std::vector<PortionWord> words;
        compute::EvalResult all;
        for (const auto& portion : *order.share) {
            words.push_back(word(portion.portion, right));
            all += words.back().result;
        }
        rig.report.evaluation = order.evaluation;
        rig.report.evaluated.result = all;
        rig.report.portions = std::make_shared<const std::vector<PortionWord>>(std::move(words));
        auto given = rig.tell();
        given.add(rig.settle_down());
        return given;
    }

    /// A partner says something of all portions.
    Given hear(std::uint8_t n, std::uint64_t right) {
        Given given;
        for (std::size_t i = 0; i < rig.session.share().portions_of_all; ++i) {
            given.add(
                rig.frame(peer_id(n), FrameType::Exchange, encode_portion_word(word(i, right)))
            );
        }
        given.add(rig.settle_down());
        return given;
    }

    SessionRig rig;
};

TEST_F(SharingSession, HoldsAndJudgesItsShareAlone) {
    const auto given = train();
    const auto share = rig.session.share();
    EXPECT_EQ(share.portions_of_all, kTests);
    EXPECT_LT(share.portions, kTests) << "five peers hold each portion three times";
    EXPECT_GT(share.portions, kTests / 4);
    ASSERT_NE(order(given).share, nullptr);
    EXPECT_EQ(order(given).share->size(), share.portions);
    std::set<ShardId> judged;
    for (const auto& portion : *order(given).share) {
        judged.insert(portion.shards.begin(), portion.shards.end());
    }
    std::size_t tests = 0;
    for (const auto& shard : rig.session.roster().duties().hold) {
        if (rig.shards.info(shard)->split == data::Split::Test) {
            ++tests;
            EXPECT_TRUE(judged.contains(shard));
        }
    }
    EXPECT_EQ(tests, share.portions);
}

TEST_F(SharingSession, ASmallSplitIsJudgedAsEver) {
    SessionRig small;
    for (std::uint8_t n = 1; n <= 4; ++n) small.other(peer_id(n));
    (void)small.begin(Start::Found);
    (void)small.tell_prepared();
    const auto given = small.settle_down();
    EXPECT_EQ(order(given).share, nullptr);
    EXPECT_EQ(small.session.share().portions_of_all, 0U);
    EXPECT_FALSE(small.session.judged().has_value());
}

TEST_F(SharingSession, TheLastWordIsThatOfAllTogether) {
    (void)train();
    (void)settle();
    const auto begun = evaluate();
    ASSERT_EQ(order(begun).phase, TrainerPhase::Evaluate);
    auto given = judge(order(begun), 4);
    EXPECT_EQ(rig.session.state(), PeerState::Evaluating) << "the others have said nothing";
    EXPECT_EQ(rig.session.waiting(rig.now).find("what the others find"), 0U);
    EXPECT_GT(given.count(FrameType::Exchange), 0U);
    EXPECT_EQ(given.count(FrameType::Exchange) % 4, 0U) << "each word goes to all four";
    for (const auto& frame : given.frames) EXPECT_TRUE(is_portion_word(frame.payload));
    // What all say of a portion is that half of it is right; ours is one voice of three.
    for (std::uint8_t n = 1; n <= 4; ++n) given = hear(n, 2);
    EXPECT_EQ(rig.session.state(), PeerState::Training) << "a half misses the target of 0.9";
    EXPECT_EQ(rig.session.judged(), 1.0);
    EXPECT_EQ(rig.session.evaluated().value(compute::QualityKind::Accuracy), 0.5);
    EXPECT_EQ(rig.session.evaluated().result.samples, 4 * kTests);
}

TEST_F(SharingSession, ATargetIsMetByWhatAllHaveFound) {
    (void)train();
    (void)settle();
    (void)judge(order(evaluate()), 2);
    for (std::uint8_t n = 1; n <= 4; ++n) (void)hear(n, 4);
    EXPECT_EQ(rig.session.state(), PeerState::Lingering);
    EXPECT_EQ(rig.session.evaluated().value(compute::QualityKind::Accuracy), 1.0);
}

TEST_F(SharingSession, OneThatDiesWhileTheSwarmEndsHoldsNothingUp) {
    (void)train();
    (void)settle();
    const auto before = rig.session.roster().share();
    const auto begun = evaluate();
    (void)judge(order(begun), 4);
    for (std::uint8_t n = 1; n <= 3; ++n) (void)hear(n, 4);
    EXPECT_EQ(rig.session.state(), PeerState::Evaluating) << "one is missing";
    rig.forget(peer_id(4));
    (void)rig.down(peer_id(4));
    (void)rig.pass(milliseconds(200));
    EXPECT_EQ(rig.session.state(), PeerState::Lingering);
    EXPECT_EQ(rig.session.judged(), 1.0);
    EXPECT_EQ(rig.session.roster().share(), before) << "nobody fetches a share in the end";
}

TEST_F(SharingSession, WhoSaysNothingIsWaitedForNoLongerThanABound) {
    (void)train();
    (void)settle();
    (void)judge(order(evaluate()), 4);
    (void)rig.pass(Jury::kGatherMin + seconds(1));
    EXPECT_EQ(rig.session.state(), PeerState::Lingering);
    ASSERT_TRUE(rig.session.judged().has_value());
    EXPECT_LT(*rig.session.judged(), 1.0) << "ours alone";
    EXPECT_GT(*rig.session.judged(), 0.2);
}

TEST_F(SharingSession, AShareThatDoesNotComeIsNotWaitedForForEver) {
    (void)train();
    (void)settle();
    const auto shard = rig.session.roster().duties().hold.back();
    ASSERT_EQ(rig.shards.info(shard)->split, data::Split::Test);
    // Only shards in files can be given up.
    auto bytes = share(rig.sharded.shards[rig.index_of(shard)]);
    bytes.mapped = true;
    ASSERT_TRUE(rig.shards.put_known(shard, bytes).has_value());
    ASSERT_TRUE(rig.shards.drop(shard));
    auto given = evaluate();
    EXPECT_NE(order(given).phase, TrainerPhase::Evaluate) << "a shard is missing";
    given = rig.pass(seconds(11));
    EXPECT_EQ(order(given).phase, TrainerPhase::Evaluate);
}

TEST_F(SharingSession, AMissedTargetMovesTheShare) {
    (void)train();
    std::set<std::vector<std::size_t>> shares{rig.session.roster().share()};
    std::vector<std::size_t> last = rig.session.roster().share();
    for (std::uint32_t round = 1; round <= 3; ++round) {
        (void)settle();
        EXPECT_EQ(rig.session.roster().share(), last) << "not while the swarm ends";
        (void)judge(order(evaluate()), 1);
        for (std::uint8_t n = 1; n <= 4; ++n) (void)hear(n, 1);
        ASSERT_EQ(rig.session.state(), PeerState::Training);
        for (std::uint8_t n = 1; n <= 4; ++n) {
            auto& record = rig.other(peer_id(n), PeerState::Training);
            record.round = round;
            record.ending = false;
        }
        (void)rig.pass(milliseconds(200));
        last = rig.session.roster().share();
        shares.insert(last);
        EXPECT_EQ(rig.session.roster().rotation(), round);
    }
    EXPECT_GE(shares.size(), 3U);
}

class AloneInItsWay : public SharingSession {
protected:
    AloneInItsWay() : SharingSession(in_shares("none")) {}
};

TEST_F(AloneInItsWay, WithoutMixingEachJudgesItsOwnModelByItsShare) {
    (void)train();
    for (std::uint8_t n = 1; n <= 4; ++n) rig.other(peer_id(n), PeerState::Settling).ending = true;
    auto given = rig.up();
    given.add(rig.settle_down());
    given.add(rig.settle_down());
    ASSERT_EQ(rig.session.state(), PeerState::Evaluating);
    given = judge(order(given), 4);
    EXPECT_EQ(rig.session.state(), PeerState::Lingering);
    EXPECT_EQ(given.count(FrameType::Exchange), 0U);
    EXPECT_LT(*rig.session.judged(), 1.0);
}

}  // namespace
}  // namespace starling::peer
