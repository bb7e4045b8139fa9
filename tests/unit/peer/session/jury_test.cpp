// Goal: all peers add up each portion once and to the same bits, whoever vanishes, is silent or lies. Method: machines
// that hand each other their frames; frames of strangers by table.

#include "peer/session/jury.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <memory>

#include "base/rng.hpp"
#include "compute/metrics/scores.hpp"
#include "peer/terms/qualities.hpp"

namespace starling::peer {
namespace {

using compute::QualityKind;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kSamples = 50;  ///< of a shard, which is a portion

data::Manifest manifest_of(std::size_t shards) {
    Rng rng(9);
    data::Manifest manifest;
    manifest.schema.label.kind = data::LabelKind::Class;
    manifest.schema.label.count = 2;
    for (std::size_t i = 0; i < shards; ++i) {
        data::ShardInfo info;
        for (auto& byte : info.id.bytes) byte = static_cast<std::uint8_t>(rng.below(256));
        info.split = data::Split::Test;
        info.samples = kSamples;
        info.bytes = 100;
        manifest.shards.push_back(info);
    }
    return manifest;
}

PeerId peer_of(std::size_t i) {
    Rng rng(100 + i);
    PeerId id;
    for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(rng.below(256));
    return id;
}

/// What a model that is right in `right` of its samples finds; the wrong ones are the first.
PortionWord word_of(std::size_t portion, std::uint64_t right, double loss = 0.5) {
    PortionWord word;
    word.portion = static_cast<std::uint16_t>(portion);
    word.result.samples = kSamples;
    word.result.correct = right;
    word.result.loss_sum = loss * kSamples;
    std::vector<float> answers;
    std::vector<std::int32_t> labels;
    for (std::uint32_t i = 0; i < kSamples; ++i) {
        const bool wrong = i < kSamples - right;
        labels.push_back(static_cast<std::int32_t>(i % 2));
        const bool second = (i % 2 == 1) != wrong;
        const double sure = std::exp(-loss);
        answers.push_back(static_cast<float>(std::log(second ? 1 - sure : sure)));
        answers.push_back(static_cast<float>(std::log(second ? sure : 1 - sure)));
    }
    data::Label label;
    label.kind = data::LabelKind::Class;
    label.count = 2;
    auto tallies = empty_tallies(label);
    const compute::ClassRows rows{answers, labels, 2, compute::ScoreKind::LogProbability};
    EXPECT_TRUE(std::get<compute::ScoreTally>(tallies[0]).add(rows).has_value());
    EXPECT_TRUE(std::get<compute::ClassTally>(tallies[1]).add(rows).has_value());
    for (const auto& tally : tallies) word.tallies.push_back(compute::encode(tally));
    return word;
}

std::uint64_t right_in(std::size_t portion) {
    return 30 + portion % 15;
}

struct Juror {
    Juror(std::size_t i, const data::Manifest& manifest, const data::SplitShares& shares)
        : id(peer_of(i)),
          jury(id, manifest, shares, *Until::parse("accuracy=0.5"), out) {}

    PeerId id;
    Outbox out;
    Jury jury;
    bool judged = false;
};

class Juries : public ::testing::Test {
protected:
    void make(std::size_t count, std::size_t portions = 24) {
        manifest_ = manifest_of(portions);
        shares_.emplace(manifest_, 1, 1600);
        ASSERT_EQ(shares_->portions().size(), portions);
        for (std::size_t i = 0; i < count; ++i) {
            jurors_.push_back(std::make_unique<Juror>(i, manifest_, *shares_));
        }
    }

    Jury& jury(std::size_t i) { return jurors_[i]->jury; }

    [[nodiscard]] std::vector<PeerId> ids() const {
        std::vector<PeerId> ids;
        for (const auto& juror : jurors_) ids.push_back(juror->id);
        return ids;
    }

    /// The trainer of a peer has judged its share.
    void judge(std::size_t i, std::uint64_t lie = 0) {
        std::vector<PortionWord> words;
        for (const auto portion : shares_->share_of(jurors_[i]->id, ids(), 0)) {
            words.push_back(
                lie > 0 ? word_of(portion, lie, 0.01) : word_of(portion, right_in(portion))
            );
        }
        jury(i).handle_own(now_, std::move(words), seconds(1));
        jurors_[i]->judged = true;
    }

    [[nodiscard]] Jury::Others others(std::size_t self) const {
        Jury::Others others;
        for (std::size_t i = 0; i < jurors_.size(); ++i) {
            if (i == self || gone_.contains(i)) continue;
            const auto& id = jurors_[i]->id;
            others.all.push_back(id);
            if (!jurors_[i]->judged && !idle_.contains(i)) others.busy.push_back(id);
        }
        others.votes = !strange_.contains(self);
        return others;
    }

    /// Hands on all frames and shows all the view, until nothing moves.
    void run() {
        for (bool again = true; again;) {
            again = false;
            for (std::size_t i = 0; i < jurors_.size(); ++i) {
                if (gone_.contains(i)) continue;
                jury(i).update(now_, others(i));
                auto& out = jurors_[i]->out;
                for (; !out.empty(); out.pop_front()) {
                    again = true;
                    ++frames_;
                    for (std::size_t k = 0; k < jurors_.size(); ++k) {
                        if (jurors_[k]->id != out.front().to || gone_.contains(k)) continue;
                        EXPECT_TRUE(jury(k).handle_frame(jurors_[i]->id, out.front().payload));
                    }
                }
            }
        }
    }

    void pass(Duration time) {
        const Instant until = now_ + time;
        while (now_ < until) {
            now_ += milliseconds(500);
            run();
        }
    }

    [[nodiscard]] std::uint64_t right_in_all() const {
        std::uint64_t right = 0;
        for (std::size_t i = 0; i < manifest_.shards.size(); ++i) right += right_in(i);
        return right;
    }

    void expect_whole(std::size_t i) {
        ASSERT_TRUE(jury(i).complete()) << i;
        const auto& found = jury(i).findings(data::Split::Test);
        EXPECT_EQ(found.samples, manifest_.samples(data::Split::Test)) << i;
        EXPECT_EQ(found.examined.result.samples, found.samples);
        EXPECT_EQ(found.examined.result.correct, right_in_all());
        EXPECT_EQ(found.examined.qualities, jury(0).findings(data::Split::Test).examined.qualities);
    }

    data::Manifest manifest_;
    std::optional<data::SplitShares> shares_;
    std::vector<std::unique_ptr<Juror>> jurors_;
    std::set<std::size_t> gone_;
    std::set<std::size_t> strange_;  ///< have a model of their own
    std::set<std::size_t> idle_;     ///< have not judged, and will not
    std::size_t frames_ = 0;
    Instant now_ = Instant{} + seconds(100);
};

TEST_F(Juries, AllAddUpEachPortionOnce) {
    make(7);
    for (std::size_t i = 0; i < 7; ++i) {
        judge(i);
        run();
        EXPECT_EQ(jury(0).complete(), i == 6) << i << ": others are waited for";
    }
    for (std::size_t i = 0; i < 7; ++i) expect_whole(i);
    EXPECT_EQ(frames_, 24U * 3 * 6) << "three speak of each portion, to six others";
    // The tally of all samples in one place says the same.
    data::Label label = manifest_.schema.label;
    auto whole = empty_tallies(label);
    for (std::size_t i = 0; i < 24; ++i) {
        const auto word = word_of(i, right_in(i));
        for (std::size_t k = 0; k < whole.size(); ++k) {
            ASSERT_TRUE(compute::merge(whole[k], *compute::decode_tally(word.tallies[k])));
        }
    }
    const auto& found = jury(3).findings(data::Split::Test).examined;
    for (const auto kind : {QualityKind::Auc, QualityKind::Ap, QualityKind::F1}) {
        EXPECT_EQ(found.value(kind), compute::quality(whole[0], kind));
    }
}

TEST_F(Juries, AShareAloneIsLessThanTheSplit) {
    make(7);
    const auto share = shares_->share_of(jurors_[0]->id, ids(), 0);
    EXPECT_LT(share.size(), 24U);
    jury(0).handle_own(now_, {}, seconds(1));
    jury(0).update(now_, {});
    ASSERT_TRUE(jury(0).complete()) << "there is nobody to wait for";
    EXPECT_EQ(jury(0).findings(data::Split::Test).samples, 0U);
}

TEST_F(Juries, OneLiarMovesNothing) {
    make(5);
    judge(0, kSamples);
    for (std::size_t i = 1; i < 5; ++i) judge(i);
    run();
    for (std::size_t i = 1; i < 5; ++i) expect_whole(i);
    const auto& found = jury(1).findings(data::Split::Test).examined;
    EXPECT_DOUBLE_EQ(found.result.loss(), 0.5);
    for (std::size_t i = 1; i < 5; ++i) {
        ASSERT_EQ(jury(i).check().suspects.size(), 1U) << i;
        EXPECT_EQ(jury(i).check().suspects[0].peer, jurors_[0]->id);
    }
    EXPECT_TRUE(jury(0).check().we_differ);
}

TEST_F(Juries, WhoseWordIsLostWithItIsReplacedByTheOtherTwo) {
    make(6);
    for (std::size_t i = 0; i < 5; ++i) judge(i);
    run();
    EXPECT_FALSE(jury(0).complete());
    gone_.insert(5);
    run();
    for (std::size_t i = 0; i < 5; ++i) expect_whole(i);
}

TEST_F(Juries, WhoVanishesAfterItsWordCounts) {
    make(4);
    // Of a portion that only the first one has judged, the others say that they have nothing.
    judge(0);
    run();
    std::size_t spoken = 0;
    for (std::size_t i = 0; i < 24; ++i) {
        const auto judges = shares_->ranked(i, 0, ids());
        spoken += std::count(judges.begin(), judges.end(), jurors_[0]->id) > 0 ? 1U : 0U;
    }
    gone_.insert(0);
    for (std::size_t i = 1; i < 4; ++i) {
        jury(i).handle_own(now_, {}, seconds(1));
        jurors_[i]->judged = true;
    }
    run();
    for (std::size_t i = 1; i < 4; ++i) {
        ASSERT_TRUE(jury(i).complete());
        EXPECT_EQ(jury(i).findings(data::Split::Test).samples, spoken * kSamples);
    }
}

TEST_F(Juries, TheSilentAreWaitedForALittleAndTheBusyLonger) {
    make(5);
    idle_ = {4};
    for (std::size_t i = 0; i < 4; ++i) judge(i);
    run();
    pass(Jury::kGrace - seconds(1));
    EXPECT_FALSE(jury(0).complete());
    pass(seconds(2));
    for (std::size_t i = 0; i < 4; ++i) expect_whole(i);

    for (std::size_t i = 0; i < 5; ++i) jury(i).follow(1);
    for (auto& juror : jurors_) juror->judged = false;
    idle_.clear();
    for (std::size_t i = 0; i < 4; ++i) judge(i);
    pass(Jury::kGatherMin - seconds(1));
    EXPECT_FALSE(jury(0).complete()) << "it evaluates still";
    pass(seconds(2));
    for (std::size_t i = 0; i < 4; ++i) ASSERT_TRUE(jury(i).complete());
}

TEST_F(Juries, WhoseModelIsAnotherOneSaysThatItHasJudgedNothing) {
    make(6);
    strange_ = {2};
    for (std::size_t i = 0; i < 6; ++i) judge(i, i == 2 ? kSamples : 0);
    run();
    for (std::size_t i = 0; i < 6; ++i) {
        expect_whole(i);
        EXPECT_TRUE(jury(i).check().suspects.empty());
    }
}

TEST_F(Juries, OfTwoVoicesOursCountsAndWhoIsOffIsNotHeard) {
    make(4);
    // The last two say that they have judged nothing, so of most portions two have spoken.
    judge(0, kSamples);
    judge(1);
    for (const std::size_t i : {2U, 3U}) {
        jury(i).handle_own(now_, {}, seconds(1));
        jurors_[i]->judged = true;
    }
    run();
    ASSERT_TRUE(jury(1).complete());
    ASSERT_EQ(jury(1).check().suspects.size(), 1U);
    const auto& found = jury(1).findings(data::Split::Test);
    std::uint64_t right = 0;
    for (std::size_t i = 0; i < 24; ++i) {
        const auto judges = shares_->ranked(i, 0, ids());
        const auto speaks = [&](std::size_t k) {
            return std::count(judges.begin(), judges.end(), jurors_[k]->id) > 0;
        };
        const auto mine = shares_->share_of(jurors_[1]->id, ids(), 0);
        const bool ours = std::binary_search(mine.begin(), mine.end(), i);
        if (ours) {
            right += right_in(i);
        } else if (speaks(0)) {
            right += kSamples;  // nobody else has spoken
        }
    }
    EXPECT_EQ(found.examined.result.correct, right);
}

TEST_F(Juries, ABrokenStreamIsToldAgain) {
    make(4);
    for (std::size_t i = 0; i < 4; ++i) judge(i);
    run();
    frames_ = 0;
    jury(0).handle_broken(jurors_[1]->id);
    run();
    EXPECT_GT(frames_, 0U);
    frames_ = 0;
    run();
    EXPECT_EQ(frames_, 0U);
}

TEST_F(Juries, WordsThatNoEvaluationGivesAreForgotten) {
    make(4);
    const auto from = jurors_[1]->id;
    const auto told = [&](const std::function<void(PortionWord&)>& change) {
        auto word = word_of(3, 40);
        word.portions = 24;
        change(word);
        return jury(0).handle_frame(from, encode_portion_word(word));
    };
    EXPECT_TRUE(told([](PortionWord&) {}));
    EXPECT_FALSE(told([](PortionWord& word) { word.round = 1; })) << "another round";
    EXPECT_FALSE(told([](PortionWord& word) { word.portions = 25; })) << "other portions";
    EXPECT_FALSE(told([](PortionWord& word) { word.result.samples = kSamples + 1; }));
    EXPECT_FALSE(told([](PortionWord& word) { word.tallies[0] = word.tallies[1]; }));
    EXPECT_FALSE(told([](PortionWord& word) { word.tallies.push_back(word.tallies[1]); }));
    EXPECT_FALSE(told([](PortionWord& word) { word.tallies[0].pop_back(); }));
    EXPECT_FALSE(told([](PortionWord& word) {
        auto twice = *compute::decode_tally(word.tallies[0]);
        EXPECT_TRUE(compute::merge(twice, *compute::decode_tally(word.tallies[0])));
        word.tallies[0] = compute::encode(twice);
    })) << "more rows than the portion has";
    EXPECT_FALSE(jury(0).handle_frame(jurors_[0]->id, encode_portion_word(word_of(3, 40))));
    EXPECT_TRUE(told([](PortionWord& word) { word.tallies[0].clear(); })) << "it was too large";
}

TEST_F(Juries, ATallyThatAPortionLacksTellsNothing) {
    make(4);
    for (std::size_t i = 0; i < 4; ++i) {
        std::vector<PortionWord> words;
        for (const auto portion : shares_->share_of(jurors_[i]->id, ids(), 0)) {
            words.push_back(word_of(portion, right_in(portion)));
            if (portion == 5) words.back().tallies[0].clear();
        }
        jury(i).handle_own(now_, std::move(words), seconds(1));
        jurors_[i]->judged = true;
    }
    run();
    ASSERT_TRUE(jury(0).complete());
    const auto& found = jury(0).findings(data::Split::Test).examined;
    EXPECT_FALSE(found.value(QualityKind::Auc).has_value());
    EXPECT_EQ(found.result.correct, right_in_all()) << "the accuracy is told all the same";
}

TEST_F(Juries, TheFirstInRankArePreferredWhenManySpeak) {
    make(12);
    const auto ranked = shares_->ranked(3, 0, ids(), 12);
    for (const auto& id : ranked) {
        if (id == jurors_[0]->id) continue;
        auto word = word_of(3, id == ranked.back() ? 0 : 40);
        word.portions = 24;
        (void)jury(0).handle_frame(id, encode_portion_word(word));
    }
    jury(0).handle_own(now_, {}, seconds(1));
    jury(0).update(now_, {});
    EXPECT_EQ(jury(0).findings(data::Split::Test).examined.result.correct, 40U);
}

}  // namespace
}  // namespace starling::peer
