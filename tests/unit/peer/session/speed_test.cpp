// Goal: a peer says how fast it is seldom and rightly, and from what all have said everybody computes
// shares with which peers of unlike speed finish an epoch together. Method: steps on a clock that the
// test moves; words by hand, and owners of random shards.

#include "peer/session/speed.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <string>

#include "base/rng.hpp"
#include "data/source.hpp"
#include "tests/unit/peer/session/support/small_swarm.hpp"

namespace starling::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using Word = std::optional<std::int16_t>;

/// A peer that makes steps of a batch at a steady pace and is looked at ten times a second.
class SteadyPeer {
public:
    SteadyPeer() { inputs.trains = true; }

    /// Trains for so long with `rate` samples per second. Returns the words that were said, and when.
    std::vector<std::pair<double, std::int16_t>> train(Duration time, double rate) {
        std::vector<std::pair<double, std::int16_t>> said;
        const Instant until = now + time;
        while (now < until) {
            now += milliseconds(100);
            made_ += inputs.trains ? 0.1 * rate : 0.0;
            inputs.samples = static_cast<std::uint64_t>(made_ / static_cast<double>(batch)) * batch;
            if (word.update(now, inputs)) {
                said.emplace_back(to_seconds(now - begin), *word.word());
            }
        }
        return said;
    }

    SpeedWord word;
    SpeedWord::Inputs inputs;
    std::uint64_t batch = 16;
    const Instant begin{seconds(1000)};
    Instant now = begin;

private:
    double made_ = 0;
};

TEST(ASpeedWord, ComesOnceTheFirstStepsAreOverAndIsTheMeasuredSpeed) {
    for (const double rate : {0.01, 1.0, 30.0, 1000.0, 100'000.0}) {
        SteadyPeer peer;
        peer.batch = rate < 1.0 ? 1 : 16;
        const auto said = peer.train(rate < 1.0 ? seconds(900) : seconds(200), rate);
        ASSERT_EQ(said.size(), 1U) << rate << ": nothing has changed since";
        EXPECT_NEAR(static_cast<double>(said[0].second), 8 * std::log2(rate), 1.0) << rate;
        if (rate >= 30.0) {
            EXPECT_NEAR(said[0].first, 25.0, 2.0);
        }
    }
}

TEST(ASpeedWord, FollowsOnlyAChangeOfMoreThanAHalf) {
    SteadyPeer peer;
    ASSERT_EQ(peer.train(seconds(60), 1000).size(), 1U);
    EXPECT_TRUE(peer.train(seconds(300), 1400).empty());
    EXPECT_TRUE(peer.train(seconds(300), 720).empty());
    const auto said = peer.train(seconds(300), 300);
    // The first window after the change has some of both.
    ASSERT_GE(said.size(), 1U);
    EXPECT_LE(said.size(), 2U);
    EXPECT_NEAR(said.back().second, 8 * std::log2(300.0), 2.0);
}

TEST(ASpeedWord, ComesNoMoreThanOnceAMinuteAndOnceAnEpoch) {
    SteadyPeer peer;
    std::vector<std::pair<double, std::int16_t>> said;
    for (int i = 0; i < 20; ++i) {
        for (const auto& word : peer.train(seconds(70), i % 2 == 0 ? 100 : 1000)) {
            said.push_back(word);
        }
    }
    ASSERT_GT(said.size(), 5U);
    for (std::size_t i = 1; i < said.size(); ++i) {
        EXPECT_GE(said[i].first - said[i - 1].first, 59.9);
    }
    SteadyPeer slow;
    ASSERT_EQ(slow.train(seconds(60), 1000).size(), 1U);
    slow.inputs.duty = 500'000;
    EXPECT_TRUE(slow.train(seconds(900), 400).empty()) << "its epoch takes 20 minutes";
    EXPECT_EQ(slow.train(seconds(900), 400).size(), 1U);
}

TEST(ASpeedWord, CountsNoTimeInWhichThePeerDoesNotTrain) {
    SteadyPeer peer;
    (void)peer.train(seconds(10), 1000);
    for (int i = 0; i < 30; ++i) {
        peer.inputs.trains = i % 2 == 1;  // it waits for others half of the time
        for (const auto& [when, word] : peer.train(seconds(3), 1000)) {
            EXPECT_NEAR(word, 8 * std::log2(1000.0), 1.0);
        }
        peer.now += seconds(i == 7 ? 3600 : 0);  // somebody stopped the process
    }
    EXPECT_TRUE(peer.word.word().has_value());
}

TEST(ASpeedWord, OfAPeerThatIsNearlyAsFastAsTheOthersIsTheirs) {
    SteadyPeer peer;
    peer.inputs.usual = std::int16_t{80};
    const auto said = peer.train(seconds(60), 1100);  // 80.8
    ASSERT_EQ(said.size(), 1U);
    EXPECT_EQ(said[0].second, 80);
}

TEST(ASpeedWord, IsMoreOrLessWhereShardsAreAheadOrBehind) {
    SteadyPeer peer;
    ASSERT_EQ(peer.train(seconds(40), 1000).size(), 1U);
    const auto measured = *peer.word.word();
    peer.inputs.duty = 60'000;
    peer.inputs.lead = 0.1;
    EXPECT_TRUE(peer.train(seconds(60), 1000).empty()) << "that is near enough";
    peer.inputs.lead = 0.25;
    EXPECT_EQ(peer.train(seconds(25), 1000).size(), 1U);
    EXPECT_EQ(*peer.word.word(), measured + 3);
    EXPECT_TRUE(peer.train(seconds(100), 1000).empty()) << "once for each lead";
    peer.inputs.lead = 0.1;
    EXPECT_EQ(peer.train(seconds(1), 1000).size(), 1U);
    EXPECT_EQ(*peer.word.word(), measured + 1);
    peer.inputs.lead = -5.0;
    EXPECT_TRUE(peer.train(seconds(25), 1000).empty()) << "not within half an epoch";
    EXPECT_EQ(peer.train(seconds(500), 1000).size(), 1U);
    EXPECT_EQ(*peer.word.word(), measured - SpeedWord::kTrimMax) << "and no further";
}

std::vector<TrainingPeer> peers_of(const std::vector<Word>& words) {
    std::vector<TrainingPeer> peers;
    for (std::size_t i = 0; i < words.size(); ++i) {
        peers.push_back({peer_id(static_cast<std::uint8_t>(i + 1)), words[i]});
    }
    return peers;
}

/// Returns each weight divided by the first one.
std::vector<double> shares(const std::vector<Word>& words) {
    std::vector<double> shares;
    const auto weighted = weigh(peers_of(words));
    for (const auto& peer : weighted) {
        shares.push_back(static_cast<double>(peer.weight) / weighted[0].weight);
    }
    return shares;
}

TEST(Weights, AreEqualWithoutWordsAndWithEqualOnes) {
    EXPECT_EQ(shares({{}, {}, {}}), (std::vector<double>{1, 1, 1}));
    for (const auto word : std::initializer_list<std::int16_t>{-32767, -53, -8, 0, 3, 80, 32767}) {
        EXPECT_EQ(shares({word, word}), (std::vector<double>{1, 1})) << word;
    }
    EXPECT_TRUE(weigh({}).empty());
}

TEST(Weights, AreAsThePeersSpeeds) {
    EXPECT_EQ(shares({80, 72, 64}), (std::vector<double>{1, 0.5, 0.25})) << "eight are an octave";
    EXPECT_EQ(shares({-3, -11, 5}), (std::vector<double>{1, 0.5, 2}));
    for (std::int16_t word = 60; word < 100; ++word) {
        EXPECT_NEAR(shares({80, word})[1], std::exp2((word - 80) / 8.0), 0.01 * word / 10.0);
    }
}

TEST(Weights, OfWhoHasSaidNothingIsThatOfTheMedian) {
    EXPECT_EQ(shares({80, {}, 72, 64}), (std::vector<double>{1, 0.5, 0.5, 0.25}));
    EXPECT_EQ(usual_speed(peers_of({80, {}, 72, 64})), 72);
    EXPECT_EQ(usual_speed(peers_of({80, 64})), 64) << "the lower of two";
    EXPECT_EQ(usual_speed(peers_of({{}, {}})), std::nullopt);
}

TEST(Weights, OfALiarAreSixtyFourMediansAtMost) {
    EXPECT_EQ(shares({80, 80, 80, 32767}), (std::vector<double>{1, 1, 1, 64}));
    EXPECT_EQ(shares({80, 80, 80, -32767}), (std::vector<double>{1, 1, 1, 1.0 / 64}));
}

TEST(Weights, OfTwoPeersStayInProportionWhoeverElseComes) {
    for (std::int16_t other = 30; other < 90; ++other) {
        EXPECT_EQ(shares({80, 77, 71, other})[2], shares({80, 77, 71})[2]) << other;
    }
}

data::Manifest random_shards(Rng& rng, std::size_t count) {
    data::Manifest manifest;
    manifest.shards.resize(count);
    for (auto& shard : manifest.shards) {
        for (auto& byte : shard.id.bytes) byte = static_cast<std::uint8_t>(rng.below(256));
        shard.samples = 30;
    }
    return manifest;
}

TEST(Weights, LetPeersWithAWholeAHalfAndAQuarterCoreFinishAnEpochTogether) {
    std::size_t apart = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Rng rng(seed);
        const auto manifest = random_shards(rng, 2000);
        // Where the grid of words lies is chance, too.
        const double fastest = 100.0 * std::exp2(rng.uniform());
        std::vector<TrainingPeer> peers;
        std::vector<double> rates;
        for (int i = 0; i < 3; ++i) {
            rates.push_back(fastest / std::exp2(i));
            PeerId id;
            for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(rng.below(256));
            SteadyPeer peer;
            (void)peer.train(seconds(60), rates.back());
            peers.push_back({id, peer.word.word()});
        }
        const auto weighted = weigh(peers);
        std::vector<double> times;
        for (std::size_t i = 0; i < peers.size(); ++i) {
            const auto own = data::duties_of(peers[i].id, weighted, manifest, 0).train.size();
            times.push_back(static_cast<double>(own) / rates[i]);
        }
        const auto [least, most] = std::minmax_element(times.begin(), times.end());
        if (*most > 1.25 * *least) ++apart;
    }
    EXPECT_LE(apart, 2U) << "the quarter has 286 shards with a deviation of 16";
}

TEST(Weights, LeaveTheOwnersOfEqualPeersAsTheyAre) {
    Rng rng(7);
    const auto manifest = random_shards(rng, 300);
    const auto peers = peers_of({53, {}, 53, 53});
    std::vector<data::WeightedPeer> equal;
    for (const auto& peer : peers) equal.push_back({peer.id, 1});
    for (const auto& peer : peers) {
        EXPECT_EQ(
            data::duties_of(peer.id, weigh(peers), manifest, 2).hold,
            data::duties_of(peer.id, equal, manifest, 2).hold
        );
    }
    EXPECT_EQ(data::assign_partitions(9, weigh(peers)), data::assign_partitions(9, equal));
}

TEST(FewRows, GiveEachOfFourPeersADuty) {
    // The breast cancer table has 455 training rows.
    const std::uint32_t shards = data::shards_wanted(455, 60'000, 4);
    const std::uint32_t of_forty = data::shards_wanted(455, 60'000, 40);
    EXPECT_EQ(of_forty, 455U) << "cut down to one sample a shard";
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Rng rng(seed);
        const auto manifest = random_shards(rng, shards);
        std::vector<data::WeightedPeer> peers(4);
        for (auto& peer : peers) {
            for (auto& byte : peer.id.bytes) byte = static_cast<std::uint8_t>(rng.below(256));
        }
        for (const auto& peer : peers) {
            EXPECT_FALSE(data::duties_of(peer.id, peers, manifest, 2).train.empty());
        }
    }
}

}  // namespace
}  // namespace starling::peer
