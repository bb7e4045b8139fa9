// Goal: members that heard the same claims hold the same table (invariant S5). Method: random sets
// of claims, merged in different orders, groupings and with repetitions.

#include "membership/member_table.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "samples.hpp"

namespace starling::membership {
namespace {

using Content = std::vector<std::tuple<PeerId, Endpoint, Incarnation, MemberState>>;

Content content_of(const MemberTable& table) {
    Content content;
    for (const auto& m : table.members()) {
        content.emplace_back(m.id, m.address, m.incarnation, m.state);
    }
    return content;
}

void merge(MemberTable& table, const std::vector<Statement>& claims) {
    for (const auto& statement : claims) table.apply(Instant{}, statement);
}

/// The digest, computed anew from what the table holds up.
std::uint64_t digest_of_members(const MemberTable& table) {
    MemberTable fresh;
    for (const auto& m : table.members()) {
        if (is_up(m.state)) {
            fresh.apply(Instant{}, {m.id, m.incarnation, MemberState::Alive, m.address, {}});
        }
    }
    return fresh.digest();
}

std::vector<Statement> random_claims(Rng& rng) {
    std::vector<Statement> claims;
    for (int i = 0; i < 20; ++i) claims.push_back(random_claim(rng, 5));
    return claims;
}

TEST(MergeRule, HigherIncarnationWinsThenTheWorseState) {
    const Verdict alive{{1, 1}, MemberState::Alive};
    EXPECT_EQ(merge_action(nullptr, alive), MergeAction::Insert);
    EXPECT_EQ(merge_action(&alive, alive), MergeAction::Ignore);
    EXPECT_EQ(merge_action(&alive, {{1, 1}, MemberState::Suspect}), MergeAction::Replace);
    EXPECT_EQ(merge_action(&alive, {{1, 0}, MemberState::Failed}), MergeAction::Ignore);
    const Verdict failed{{1, 1}, MemberState::Failed};
    EXPECT_EQ(merge_action(&failed, {{1, 1}, MemberState::Left}), MergeAction::Replace);
    EXPECT_EQ(merge_action(&failed, {{1, 2}, MemberState::Alive}), MergeAction::Replace);
    const Verdict old_failed{{1, 1000}, MemberState::Failed};
    EXPECT_EQ(merge_action(&old_failed, {{2, 0}, MemberState::Alive}), MergeAction::Replace);
}

TEST(MemberTable, MergingIsCommutativeAssociativeAndIdempotent) {
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        const auto claims = random_claims(rng);
        MemberTable once;
        merge(once, claims);
        auto shuffled = claims;
        rng.shuffle(std::span<Statement>(shuffled));
        MemberTable other;
        merge(other, shuffled);
        ASSERT_EQ(content_of(once), content_of(other)) << "not commutative";
        merge(other, claims);
        ASSERT_EQ(content_of(once), content_of(other)) << "not idempotent";
        // Grouping: two tables that each heard a half, then one hears the other's content.
        const auto half = claims.begin() + 10;
        MemberTable left;
        MemberTable right;
        merge(left, {claims.begin(), half});
        merge(right, {half, claims.end()});
        for (const auto& m : right.members()) {
            left.apply(Instant{}, {m.id, m.incarnation, m.state, m.address, {}});
        }
        ASSERT_EQ(content_of(once), content_of(left)) << "not associative";
    }
}

TEST(MemberTable, StaysSortedAndItsCountsMatch) {
    Rng rng(3);
    MemberTable table;
    for (int i = 0; i < 2000; ++i) {
        table.apply(Instant{}, random_claim(rng, 40));
        std::array<std::size_t, 4> counts{};
        for (std::size_t k = 0; k < table.size(); ++k) {
            ++counts[static_cast<std::size_t>(table.members()[k].state)];
            ASSERT_TRUE(k == 0 || table.members()[k - 1].id < table.members()[k].id);
        }
        for (std::size_t s = 0; s < 4; ++s) {
            ASSERT_EQ(table.count(static_cast<MemberState>(s)), counts[s]);
        }
    }
}

TEST(MemberTable, ForgetsOnlyOldTombstonesOfOthers) {
    const Instant start{};
    MemberTable table;
    table.apply(start, claim(1, {1, 0}, MemberState::Left));
    table.apply(start, claim(2, {1, 0}, MemberState::Failed));
    table.apply(start, claim(3, {1, 0}, MemberState::Alive));
    table.apply(start + std::chrono::seconds(5), claim(4, {1, 0}, MemberState::Failed));
    const auto gone =
        table.forget(start + std::chrono::seconds(10), std::chrono::seconds(10), peer(1));
    ASSERT_EQ(gone.size(), 1U);
    EXPECT_EQ(gone[0].id, peer(2));
    EXPECT_EQ(table.size(), 3U);
    EXPECT_EQ(table.count(MemberState::Failed), 1U);
}

TEST(MemberTable, IdsThatShareTheirLeadingBytesAreKeptApartAndInOrder) {
    Rng rng(1);
    MemberTable table;
    std::vector<PeerId> ids;
    for (std::uint8_t i = 0; i < 100; ++i) {
        PeerId id = peer(static_cast<std::uint8_t>(i % 3));
        id.bytes[20] = i;
        ids.push_back(id);
    }
    rng.shuffle(std::span<PeerId>(ids));
    for (const auto& id : ids) {
        table.apply(Instant{}, {id, {1, 0}, MemberState::Alive, address_of(1), {}});
    }
    for (const auto& id : ids) {
        ASSERT_NE(table.find(id), nullptr);
        EXPECT_EQ(table.find(id)->id, id);
    }
    EXPECT_EQ(table.find(peer(9)), nullptr);
    EXPECT_TRUE(std::is_sorted(
        table.members().begin(),
        table.members().end(),
        [](const Member& a, const Member& b) { return a.id < b.id; }
    ));
}

TEST(TableDigest, IsKeptUpWithEveryChange) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        MemberTable table;
        for (const auto& statement : random_claims(rng)) {
            table.apply(Instant{}, statement);
            ASSERT_EQ(table.digest(), digest_of_members(table));
        }
        table.forget(Instant{} + std::chrono::hours(1), std::chrono::seconds(1), peer(200));
        EXPECT_EQ(table.digest(), digest_of_members(table));
    }
}

TEST(TableDigest, ShowsWhoIsUpAndAtWhichIncarnationButNoSuspicion) {
    const auto digest = [](const std::vector<Statement>& claims) {
        MemberTable table;
        merge(table, claims);
        return table.digest();
    };
    const auto alive = claim(1, {1, 0}, MemberState::Alive);
    const auto base = digest({alive});
    EXPECT_NE(base, digest({}));
    EXPECT_EQ(base, digest({alive, claim(1, {1, 0}, MemberState::Suspect)}));
    EXPECT_EQ(digest({}), digest({alive, claim(1, {1, 0}, MemberState::Failed)}));
    EXPECT_EQ(digest({}), digest({claim(1, {1, 0}, MemberState::Left)}));
    EXPECT_NE(base, digest({claim(1, {1, 1}, MemberState::Alive)}));
    EXPECT_NE(base, digest({claim(2, {1, 0}, MemberState::Alive)}));
}

}  // namespace
}  // namespace starling::membership
