// Goal: a swarm without a coordinator ends together and once, and only if the target was met.
// Method: several Ending machines read each other's records, and the tests advance them.

#include "peer/session/ending.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace starling::peer {
namespace {

using std::chrono::seconds;

/// A small swarm in which every record reaches the others at once.
class Swarm {
public:
    Swarm(std::size_t n, const Until& until) : peers_(n, Ending(until)), inputs_(n) {
        if (until.kind != UntilKind::Samples) return;
        for (auto& in : inputs_) in.samples_wanted = static_cast<std::uint64_t>(until.value);
    }

    Ending& peer(std::size_t i) { return peers_[i]; }

    EndingInputs& inputs(std::size_t i) { return inputs_[i]; }

    Record record(std::size_t i) const {
        Record r;
        r.round = peers_[i].round();
        r.reached = peers_[i].reached();
        r.ending = peers_[i].ending();
        switch (peers_[i].phase()) {
            case EndingPhase::Train:
                r.state = PeerState::Training;
                break;
            case EndingPhase::Settle:
                r.state = PeerState::Settling;
                break;
            case EndingPhase::Evaluate:
                r.state = PeerState::Evaluating;
                break;
            case EndingPhase::Linger:
                r.state = PeerState::Lingering;
                break;
            case EndingPhase::Leave:
                r.state = PeerState::Done;
                break;
        }
        return r;
    }

    void step() {
        for (std::size_t i = 0; i < peers_.size(); ++i) {
            std::vector<Record> others = lies;
            for (std::size_t j = 0; j < peers_.size(); ++j) {
                if (j != i) others.push_back(record(j));
            }
            inputs_[i].others = others;
            peers_[i].advance(now_, inputs_[i]);
            inputs_[i].others = {};
        }
        now_ += std::chrono::milliseconds(100);
    }

    std::vector<Record> lies;  ///< what members say that are not honest

    void steps(int count) {
        for (int i = 0; i < count; ++i) step();
    }

    void wait(Duration d) { now_ += d; }

    void evaluate_all(double accuracy) {
        for (auto& in : inputs_) {
            in.evaluated = true;
            in.full = accuracy;
        }
    }

    void forget_evaluations() {
        for (auto& in : inputs_) in.evaluated = false;
    }

private:
    std::vector<Ending> peers_;
    std::vector<EndingInputs> inputs_;
    Instant now_{};
};

TEST(Ending, AMajorityEndsTrainingAndAMinorityDoesNot) {
    Swarm swarm(4, {UntilKind::Accuracy, 0.9});
    swarm.inputs(0).estimate = 0.91;
    swarm.inputs(1).estimate = 0.92;
    swarm.inputs(2).estimate = 0.80;
    swarm.steps(3);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Train);
    swarm.inputs(2).estimate = 0.90;
    swarm.steps(3);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Settle);
}

TEST(Ending, EpochsEndWhenAMajoritySeesThatAllShardsHaveComeSoFar) {
    Swarm swarm(3, {UntilKind::Epochs, 2});
    for (std::size_t i = 0; i < 3; ++i) swarm.inputs(i).swarm_samples = 1'000'000'000;
    swarm.inputs(0).epochs_done = true;
    swarm.steps(5);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Train);
    swarm.inputs(1).epochs_done = true;
    swarm.steps(3);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Settle);
}

TEST(Ending, TheFlagSticksWhenTheEstimateFallsAgain) {
    Swarm swarm(3, {UntilKind::Accuracy, 0.9});
    swarm.inputs(0).estimate = swarm.inputs(1).estimate = 0.95;
    swarm.steps(2);
    swarm.inputs(0).estimate = swarm.inputs(1).estimate = 0.5;
    swarm.steps(5);
    EXPECT_EQ(swarm.peer(2).phase(), EndingPhase::Settle);
}

TEST(Ending, WhoeverHasSeenTheTargetCountsForTheRoundAndNotForTheNext) {
    Swarm swarm(3, {UntilKind::Accuracy, 0.9});
    swarm.inputs(0).estimate = 0.91;
    swarm.steps(2);
    swarm.inputs(0).estimate = 0.89;
    swarm.inputs(1).estimate = 0.91;
    for (std::size_t i = 0; i < 3; ++i) swarm.inputs(i).settled = true;
    swarm.steps(2);
    EXPECT_NE(swarm.peer(2).phase(), EndingPhase::Train) << "two of three, one after the other";
    swarm.inputs(1).estimate = 0.89;
    swarm.evaluate_all(0.89);
    swarm.steps(4);
    swarm.forget_evaluations();
    swarm.steps(10);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Train) << i;
        EXPECT_FALSE(swarm.peer(i).reached()) << i;
    }
}

TEST(Ending, SettledPeersEvaluateLingerForTheLastAndLeave) {
    Swarm swarm(3, {UntilKind::Samples, 100});
    for (std::size_t i = 0; i < 3; ++i) swarm.inputs(i).swarm_samples = 100;
    swarm.evaluate_all(0.5);
    for (std::size_t i = 0; i < 2; ++i) swarm.inputs(i).settled = true;
    swarm.steps(6);
    EXPECT_EQ(swarm.peer(0).phase(), EndingPhase::Linger);
    EXPECT_EQ(swarm.peer(2).phase(), EndingPhase::Settle);
    swarm.inputs(2).settled = true;
    swarm.steps(6);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Leave);
        EXPECT_TRUE(swarm.peer(i).met());
    }
}

TEST(Ending, AMissOpensANewRoundForEverybodyWithAStricterEstimate) {
    Swarm swarm(3, {UntilKind::Accuracy, 0.9});
    for (std::size_t i = 0; i < 3; ++i) {
        swarm.inputs(i).estimate = 0.9005;
        swarm.inputs(i).settled = true;
    }
    swarm.evaluate_all(0.89);
    swarm.steps(4);
    swarm.forget_evaluations();
    swarm.steps(4);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Train) << i;
        EXPECT_GE(swarm.peer(i).round(), 1U);
        EXPECT_EQ(swarm.peer(i).round(), swarm.peer(0).round());
    }
    for (std::size_t i = 0; i < 3; ++i) swarm.inputs(i).estimate = 0.95;
    swarm.evaluate_all(0.93);
    swarm.steps(8);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Leave);
}

TEST(Ending, ALingererFollowsAPeerThatMissed) {
    Swarm swarm(2, {UntilKind::Accuracy, 0.9});
    swarm.inputs(0).estimate = swarm.inputs(1).estimate = 0.9;
    swarm.inputs(0).settled = swarm.inputs(1).settled = true;
    swarm.inputs(0).evaluated = true;
    swarm.inputs(0).full = 0.901;
    swarm.steps(4);
    ASSERT_EQ(swarm.peer(0).phase(), EndingPhase::Linger);
    swarm.inputs(1).evaluated = true;
    swarm.inputs(1).full = 0.899;
    swarm.steps(2);
    EXPECT_EQ(swarm.peer(0).round(), 1U);
    EXPECT_EQ(swarm.peer(1).round(), 1U);
}

TEST(Ending, StepsCountPerPeerSoAllMustHaveMadeThem) {
    Swarm swarm(2, {UntilKind::Steps, 10});
    swarm.inputs(0).own_steps = 10;
    swarm.inputs(1).own_steps = 9;
    swarm.steps(3);
    EXPECT_EQ(swarm.peer(0).phase(), EndingPhase::Train);
    swarm.inputs(1).own_steps = 10;
    swarm.steps(3);
    EXPECT_EQ(swarm.peer(0).phase(), EndingPhase::Settle);
    EXPECT_EQ(swarm.peer(1).phase(), EndingPhase::Settle);
}

TEST(Ending, WaitingIsBoundedWhenOthersNeverSettleOrFinish) {
    Swarm swarm(2, {UntilKind::Samples, 1});
    swarm.inputs(0).swarm_samples = swarm.inputs(1).swarm_samples = 1;
    swarm.evaluate_all(0.5);
    swarm.steps(2);
    ASSERT_EQ(swarm.peer(0).phase(), EndingPhase::Settle);
    swarm.inputs(1).evaluated = false;
    swarm.wait(Ending::kSettleMax);
    swarm.steps(3);
    EXPECT_EQ(swarm.peer(0).phase(), EndingPhase::Linger);
    swarm.wait(Ending::kLingerMax);
    swarm.steps(2);
    EXPECT_EQ(swarm.peer(0).phase(), EndingPhase::Leave);
}

TEST(Ending, WhoHasFinishedServesANewcomerFirst) {
    Swarm swarm(2, {UntilKind::Samples, 1});
    for (std::size_t i = 0; i < 2; ++i) {
        swarm.inputs(i).swarm_samples = 1;
        swarm.inputs(i).settled = true;
        swarm.inputs(i).joining = 1;
    }
    swarm.evaluate_all(0.5);
    swarm.steps(6);
    EXPECT_EQ(swarm.peer(0).phase(), EndingPhase::Linger);
    EXPECT_EQ(swarm.peer(1).phase(), EndingPhase::Linger);
    for (std::size_t i = 0; i < 2; ++i) swarm.inputs(i).joining = 0;
    swarm.steps(2);
    EXPECT_EQ(swarm.peer(0).phase(), EndingPhase::Leave);
    EXPECT_EQ(swarm.peer(1).phase(), EndingPhase::Leave);
}

Record lie(std::uint32_t round, bool ending) {
    Record lie;
    lie.state = PeerState::Training;
    lie.round = round;
    lie.reached = lie.ending = ending;
    return lie;
}

TEST(Ending, ALiarEndsNobody) {
    for (const auto kind : {UntilKind::Accuracy, UntilKind::Samples, UntilKind::Forever}) {
        Swarm swarm(3, {kind, 100});
        swarm.lies = {lie(0, true)};
        swarm.steps(100);
        for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Train);
    }
}

TEST(Ending, OnePeerThatSeesTheCountIsNotEnough) {
    Swarm swarm(3, {UntilKind::Samples, 100});
    swarm.inputs(0).swarm_samples = 100;
    swarm.steps(10);
    EXPECT_EQ(swarm.peer(0).phase(), EndingPhase::Train);
    swarm.inputs(1).swarm_samples = 100;
    swarm.steps(3);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Settle);
}

TEST(Ending, ALiarInAFarRoundMovesTheOthersAFewRoundsAndKeepsNoTargetFromBeingReached) {
    Swarm swarm(3, {UntilKind::Accuracy, 0.9});
    swarm.lies = {lie(0xfffffff0, false)};
    swarm.steps(50);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(swarm.peer(i).round(), 0U);
    swarm.steps(600);
    const auto most = 3 * Ending::kFollowFewMax;
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_LE(swarm.peer(i).round(), most);
        swarm.inputs(i).estimate = 0.94;
        swarm.inputs(i).settled = true;
    }
    swarm.evaluate_all(0.93);
    swarm.steps(600);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(swarm.peer(i).phase(), EndingPhase::Leave) << i;
        EXPECT_TRUE(swarm.peer(i).met()) << i;
        EXPECT_LE(swarm.peer(i).round(), most);
    }
}

TEST(Ending, WhereMostAreEverybodyGoesAtOnce) {
    Swarm swarm(1, {UntilKind::Accuracy, 0.9});
    swarm.step();
    swarm.lies = {lie(5, false), lie(5, false), lie(9, false)};
    swarm.step();
    EXPECT_EQ(swarm.peer(0).round(), 5U);
    Swarm returned(1, {UntilKind::Accuracy, 0.9});
    returned.lies = {lie(3, false)};
    returned.step();
    EXPECT_EQ(returned.peer(0).round(), 3U) << "of two, who comes back believes the other";
    Swarm founder(1, *Until::parse("accuracy=0.9"));
    founder.peer(0).found();
    Record liar;
    liar.round = 0xfffffff0U;
    founder.lies = {liar};
    for (int i = 0; i < 1000; ++i) founder.step();
    EXPECT_LE(founder.peer(0).round(), 8U) << "a founder does not";
}

TEST(Ending, AnyQualityMayBeTheTarget) {
    Swarm higher(1, {UntilKind::Auc, 0.8});
    higher.inputs(0).estimate = 0.79;
    higher.steps(2);
    EXPECT_EQ(higher.peer(0).phase(), EndingPhase::Train);
    higher.inputs(0).estimate = 0.8;
    higher.steps(2);
    EXPECT_EQ(higher.peer(0).phase(), EndingPhase::Settle);
    Swarm lower(1, {UntilKind::Bpb, 2.0});
    lower.inputs(0).estimate = 2.1;
    lower.steps(2);
    EXPECT_EQ(lower.peer(0).phase(), EndingPhase::Train);
    lower.inputs(0).estimate = 2.0;
    lower.steps(2);
    EXPECT_EQ(lower.peer(0).phase(), EndingPhase::Settle);
}

TEST(Ending, AQualityThatCannotBeToldMissesItsTarget) {
    Swarm swarm(1, {UntilKind::Auc, 0.0});
    swarm.inputs(0).estimate = 0.5;
    swarm.inputs(0).settled = true;
    swarm.inputs(0).evaluated = true;
    swarm.inputs(0).full = std::nullopt;
    swarm.steps(4);
    EXPECT_EQ(swarm.peer(0).round(), 1U);
    EXPECT_FALSE(swarm.peer(0).met());
}

TEST(Ending, APeerAloneEndsByItself) {
    Swarm swarm(1, {UntilKind::Loss, 0.3});
    swarm.inputs(0).estimate = 0.25;
    swarm.inputs(0).settled = true;
    swarm.evaluate_all(0.2);
    swarm.steps(5);
    EXPECT_EQ(swarm.peer(0).phase(), EndingPhase::Leave);
}

}  // namespace
}  // namespace starling::peer
