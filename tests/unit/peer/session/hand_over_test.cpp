// Goal: a shard goes on where its owner before has stopped, whoever that was, and what a peer says of its
// shards never claims more than was done. Method: views, duties and reports by hand; random progress.

#include "peer/session/hand_over.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "data/ownership.hpp"
#include "peer/session/speed.hpp"
#include "tests/unit/peer/session/support/small_swarm.hpp"

namespace starling::peer {
namespace {

data::EpochPlace exact(std::uint32_t epoch, std::uint16_t key) {
    return {epoch, std::uint64_t{key} << kDutyKeyShift};
}

class Heirs : public ::testing::Test {
protected:
    void say(std::uint8_t peer, const DutyProgress& progress) {
        SeenPeer seen;
        seen.id = peer_id(peer);
        seen.record.emplace().state = PeerState::Training;
        seen.record->duty = progress;
        view_.others.push_back(seen);
    }

    [[nodiscard]] std::vector<ShardId> train() const {
        std::vector<ShardId> ids;
        for (const auto& shard : manifest_.shards) {
            if (shard.split == data::Split::Train) ids.push_back(shard.id);
        }
        return ids;
    }

    [[nodiscard]] PeerId owner(const ShardId& shard, const std::vector<TrainingPeer>& peers) const {
        return data::rank_owners(shard, weigh(peers), 1).front();
    }

    data::Manifest manifest_ = tiny_shards(40).manifest;
    HandOver ours_{kSelf, manifest_};
    SwarmView view_;
    Instant now_{std::chrono::seconds(1000)};
    const std::vector<TrainingPeer> two_{{peer_id(1), {}}, {peer_id(2), {}}};
};

TEST_F(Heirs, GoOnWhereTheOwnerBeforeHasStopped) {
    say(1, {{3, 1000}, {}});
    say(2, {{3, 2000}, {}});
    ours_.note(now_, view_);
    ours_.change(two_, train(), std::nullopt);
    for (const auto& [id, from] : ours_.starts()) {
        const bool first = owner(id, two_) == peer_id(1);
        EXPECT_EQ(from, exact(3, first ? 1000 : 2000));
    }
}

TEST_F(Heirs, TakeTheWordOfTheViewBefore) {
    // The owner drops the shards with the word that makes it slower; by then it may be further.
    say(1, {{3, 1000}, {}});
    say(2, {{3, 1000}, {}});
    ours_.note(now_, view_);
    view_.others[0].record->duty->base.key = 1500;
    ours_.change(two_, train(), DutyPlace{3, 1200});
    for (const auto& [id, from] : ours_.starts()) EXPECT_EQ(from, exact(3, 1000));
}

TEST_F(Heirs, KnowShardsThatTheOwnerGotLately) {
    DutyProgress progress{{3, 1000}, {}};
    for (const auto shard : std::initializer_list<std::uint16_t>{1, 5, 9})
        progress.others.push_back({shard, {2, 60000}});
    say(1, progress);
    ours_.note(now_, view_);
    ours_.change(std::vector<TrainingPeer>{{peer_id(1), {}}}, train(), std::nullopt);
    const auto starts = ours_.starts();
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const bool late = i == 1 || i == 5 || i == 9;
        EXPECT_EQ(starts[i].from, late ? exact(2, 60000) : exact(3, 1000)) << i;
    }
}

TEST_F(Heirs, DoNotTrustAnHeirThatMayNotHaveHeardOfADeath) {
    say(1, {{3, 1000}, {}});
    say(2, {{3, 2000}, {}});
    ours_.note(now_, view_);
    view_.others[0].state = membership::MemberState::Failed;
    ours_.note(now_, view_);
    const std::vector<TrainingPeer> left{{peer_id(2), {}}};
    ours_.change(left, train(), std::nullopt);
    for (const auto& [id, from] : ours_.starts()) {
        const bool of_the_dead = owner(id, two_) == peer_id(1);
        EXPECT_EQ(from, exact(3, of_the_dead ? 1000 : 2000));
    }
    now_ += std::chrono::seconds(11);
    ours_.note(now_, view_);
    ours_.forget();
    ours_.change(left, train(), std::nullopt);
    for (const auto& [id, from] : ours_.starts()) EXPECT_EQ(from, exact(3, 2000));
}

TEST_F(Heirs, KeepWhatTheyHaveAndLookUpOnlyWhatComes) {
    const auto all = train();
    const std::vector<ShardId> some(all.begin(), all.begin() + 20);
    ours_.change({}, some, std::nullopt);
    for (const auto& [id, from] : ours_.starts()) EXPECT_EQ(from, std::nullopt) << "we found it";
    say(1, {{3, 1000}, {}});
    ours_.note(now_, view_);
    ours_.change(std::vector<TrainingPeer>{{peer_id(1), {}}, {kSelf, {}}}, all, DutyPlace{3, 900});
    std::size_t came = 0;
    for (const auto& [id, from] : ours_.starts()) came += from.has_value() ? 1U : 0U;
    EXPECT_GT(came, 0U);
    EXPECT_LE(came, 20U);
}

TEST_F(Heirs, BelieveOneEpochMoreOrLess) {
    say(1, {{4000000, 7}, {}});
    ours_.note(now_, view_);
    const std::vector<TrainingPeer> one{{peer_id(1), {}}};
    ours_.change(one, train(), DutyPlace{3, 900});
    for (const auto& [id, from] : ours_.starts()) EXPECT_EQ(from, exact(4, 900));
    view_.others[0].record->duty->base = {0, 0};
    ours_.note(now_, view_);
    ours_.forget();
    ours_.change(one, train(), DutyPlace{3, 900});
    for (const auto& [id, from] : ours_.starts()) EXPECT_EQ(from, exact(2, 900));
}

TEST_F(Heirs, BeginWhereMostAreIfTheOwnerHasSaidNothing) {
    for (const auto peer : std::initializer_list<std::uint8_t>{2, 3, 4}) {
        say(peer, {{7, static_cast<std::uint16_t>(100 * peer)}, {}});
    }
    ours_.note(now_, view_);
    ours_.change(std::vector<TrainingPeer>{{peer_id(1), {}}}, train(), std::nullopt);
    for (const auto& [id, from] : ours_.starts()) EXPECT_EQ(from, exact(7, 300));
}

/// Whose shards have not come to the beginning of the fourth epoch, among some owners.
class Late : public Heirs {
protected:
    Late() { report_.position = {3, 0}; }

    std::vector<PeerId> behind(const std::vector<TrainingPeer>& owners) {
        return ours_.behind(owners, report_, {3, 0});
    }

    [[nodiscard]] std::vector<ShardId> owned(
        const PeerId& peer, const std::vector<TrainingPeer>& owners
    ) const {
        std::vector<ShardId> ids;
        for (const auto& id : train()) {
            if (owner(id, owners) == peer) ids.push_back(id);
        }
        return ids;
    }

    TrainerReport report_;
    const std::vector<TrainingPeer> three_{{peer_id(1), {}}, {peer_id(2), {}}, {kSelf, {}}};
};

TEST_F(Late, IsWhoseRecordSaysSo) {
    ours_.change({}, owned(kSelf, three_), std::nullopt);
    EXPECT_EQ(behind(three_), (std::vector{peer_id(1), peer_id(2)}))
        << "who has said nothing is not done";
    say(1, {{3, 0}, {}});
    say(2, {{2, 65535}, {}});
    ours_.note(now_, view_);
    EXPECT_EQ(behind(three_), std::vector{peer_id(2)});
    // Who lies about its places lies about the shards that it owns, and about no other.
    view_.others[0].record->duty->base = {4000000, 0};
    ours_.note(now_, view_);
    EXPECT_EQ(behind(three_), std::vector{peer_id(2)});
    view_.others[1].record->duty->base = {3, 7};
    ours_.note(now_, view_);
    EXPECT_TRUE(behind(three_).empty());
    report_.position = {2, 17};
    EXPECT_EQ(behind(three_), std::vector{kSelf});
}

TEST_F(Late, IsWhoHasASingleShardThatIsBehind) {
    ours_.change({}, owned(kSelf, three_), std::nullopt);
    say(1, {{3, 0}, {}});
    std::uint16_t theirs = 0;
    std::uint16_t others = 0;
    for (std::uint16_t i = 0; i < 40; ++i) {
        (owner(manifest_.shards[i].id, three_) == peer_id(2) ? theirs : others) = i;
    }
    say(2, {{3, 0}, {{theirs, {2, 9}}}});
    ours_.note(now_, view_);
    EXPECT_EQ(behind(three_), std::vector{peer_id(2)});
    view_.others[1].record->duty->others = {{others, {2, 9}}};
    ours_.note(now_, view_);
    EXPECT_TRUE(behind(three_).empty()) << "its word of another's shard says nothing";
}

TEST_F(Late, IsAnHeirThatMayNotHaveHeardOfADeath) {
    say(1, {{2, 100}, {}});
    say(2, {{3, 0}, {}});
    ours_.note(now_, view_);
    view_.others[0].state = membership::MemberState::Failed;
    ours_.note(now_, view_);
    const std::vector<TrainingPeer> left{{peer_id(2), {}}, {kSelf, {}}};
    ours_.change(three_, owned(kSelf, left), DutyPlace{3, 0});
    EXPECT_EQ(behind(left), (std::vector{peer_id(2), kSelf}))
        << "both are heirs, and both must catch up";
    now_ += std::chrono::seconds(11);
    ours_.note(now_, view_);
    EXPECT_EQ(behind(left), std::vector{kSelf}) << "by now its own word counts";
}

TEST_F(Late, LacksWhatItsHeldShardsLack) {
    const auto ours = owned(kSelf, three_);
    ours_.change({}, ours, std::nullopt);
    double all = 0.0;
    for (const auto& shard : manifest_.shards) {
        if (std::find(ours.begin(), ours.end(), shard.id) != ours.end()) all += shard.samples;
    }
    const auto every = [](const ShardId&) { return true; };
    EXPECT_EQ(ours_.left(report_, {3, 0}, every), 0.0);
    EXPECT_EQ(ours_.left(report_, {2, 0}, every), 0.0);
    EXPECT_DOUBLE_EQ(ours_.left(report_, {4, 32768}, every), 1.5 * all);
    EXPECT_EQ(ours_.left(report_, {4, 0}, [](const ShardId&) { return false; }), 0.0);
    const auto one = [&](const ShardId& id) { return id == ours.front(); };
    EXPECT_GT(ours_.left(report_, {4, 0}, one), 0.0);
    EXPECT_LT(ours_.left(report_, {4, 0}, one), all);
}

TEST_F(Heirs, SayNoMoreThanTheyHaveDone) {
    const auto all = train();
    std::size_t in_full = 0;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        Rng rng(seed);
        HandOver ours(kSelf, manifest_);
        ours.change({}, all, std::nullopt);
        TrainerReport report;
        report.position = {5, rng.next() >> 1U, 1};
        auto places = std::make_shared<std::vector<data::ShardPlace>>();
        const auto lately = rng.below(30);
        for (const auto& id : all) {
            const bool late = rng.below(30) < lately;
            data::EpochPlace from =
                late ? data::EpochPlace{4 + rng.below(3), rng.next() >> 1U} : data::EpochPlace{};
            places->push_back({id, from, !late || rng.chance(0.5)});
        }
        std::sort(places->begin(), places->end(), [](const auto& a, const auto& b) {
            return a.id < b.id;
        });
        report.places = places;
        const auto said = ours.progress(report);
        ASSERT_TRUE(said.has_value());
        ASSERT_TRUE(said->fits());
        if (!said->others.empty()) ++in_full;
        for (const auto& place : *places) {
            const auto position = data::place_of(report.position);
            const auto done = place.held ? std::max(place.from, position) : place.from;
            std::uint16_t number = 0;
            while (manifest_.shards[number].id != place.id) ++number;
            const auto word = said->of(number);
            EXPECT_LE(exact(word.epoch, word.key), done);
            if (!said->others.empty()) {
                EXPECT_GE(
                    exact(word.epoch, word.key).next + (std::uint64_t{1} << kDutyKeyShift),
                    done.next
                );
            }
        }
    }
    EXPECT_GT(in_full, 100U);
}

TEST_F(Heirs, SayTheLeastOfTooManyPlaces) {
    const auto manifest = tiny_shards(200).manifest;
    HandOver ours(kSelf, manifest);
    std::vector<ShardId> all;
    auto places = std::make_shared<std::vector<data::ShardPlace>>();
    for (const auto& shard : manifest.shards) {
        if (shard.split == data::Split::Train) all.push_back(shard.id);
    }
    ours.change({}, all, std::nullopt);
    for (std::size_t i = 0; i < all.size(); ++i) {
        places->push_back({all[i], exact(5, static_cast<std::uint16_t>(1000 + i)), true});
    }
    std::sort(places->begin(), places->end(), [](const auto& a, const auto& b) {
        return a.id < b.id;
    });
    TrainerReport report;
    report.places = places;
    const auto said = ours.progress(report);
    ASSERT_TRUE(said.has_value());
    EXPECT_TRUE(said->others.empty());
    EXPECT_EQ(said->base, (DutyPlace{5, 1000}));
    EXPECT_FALSE(HandOver(kSelf, manifest).progress(report).has_value()) << "without a duty";
}

}  // namespace
}  // namespace starling::peer
