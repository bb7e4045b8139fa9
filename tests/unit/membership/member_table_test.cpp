// Goal: members that heard the same claims hold the same table (invariant S5). Method: random sets
// of claims, merged in different orders, groupings and with repetitions.

#include "membership/member_table.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "tests/unit/membership/support/samples.hpp"

namespace starling::membership {
namespace {

using Content = std::vector<std::tuple<PeerId, Endpoint, Incarnation, MemberState>>;

Content content_of(const MemberTable& table) {
    Content content;
    for (const auto& m : table.members()) {
        content.emplace_back(m.id, m.address, m.incarnation, m.state);
    }
    std::sort(content.begin(), content.end());
    return content;
}

/// A table with a pool of its own.
struct Table : MemberTable {
    Table() : MemberTable(std::make_shared<ClaimPool>()) {}
};

void merge(MemberTable& table, const std::vector<Statement>& claims) {
    for (const auto& statement : claims) table.apply(Instant{}, statement);
}

/// The owners' claims in random order, then the accusations in random order: an accusation that
/// overtakes the claim that it is about would be lost.
std::vector<Statement> shuffled(std::vector<Statement> claims, Rng& rng) {
    rng.shuffle(std::span<Statement>(claims));
    std::stable_partition(claims.begin(), claims.end(), [](const Statement& claim) {
        return !is_accusation(claim.state);
    });
    return claims;
}

/// The digest, computed anew from what the table holds up.
std::uint64_t digest_of_members(const MemberTable& table) {
    Table fresh;
    for (const auto& m : table.members()) {
        if (!is_up(m.state)) continue;
        auto alive = table.claim_of(m.id);
        alive.state = MemberState::Alive;
        fresh.apply(Instant{}, alive);
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
        const auto claims = shuffled(random_claims(rng), rng);
        Table once;
        merge(once, claims);
        Table other;
        merge(other, shuffled(claims, rng));
        ASSERT_EQ(content_of(once), content_of(other)) << "not commutative";
        merge(other, claims);
        ASSERT_EQ(content_of(once), content_of(other)) << "not idempotent";
        // Grouping: two tables that each heard a part, then one hears the other's content.
        Table left;
        Table right;
        for (const auto& claim : claims) {
            // A member that hears an accusation has heard the claim that it is about.
            const bool to_left = claim.subject.bytes[0] % 2 == 0 || rng.chance(0.5);
            const bool words = !is_accusation(claim.state);
            if (to_left || words) left.apply(Instant{}, claim);
            if (!to_left || words) right.apply(Instant{}, claim);
        }
        for (const auto& m : right.members()) {
            left.apply(Instant{}, right.claim_of(m.id));
            Statement accusation;
            accusation.subject = m.id;
            accusation.incarnation = m.incarnation;
            accusation.state = m.state;
            if (is_accusation(m.state)) left.apply(Instant{}, accusation);
        }
        ASSERT_EQ(content_of(once), content_of(left)) << "not associative";
    }
}

TEST(MemberTable, HoldsEachMemberOnceAndItsCountsMatch) {
    Rng rng(3);
    Table table;
    for (int i = 0; i < 2000; ++i) {
        table.apply(Instant{}, random_claim(rng, 40));
        std::array<std::size_t, 4> counts{};
        for (std::size_t k = 0; k < table.size(); ++k) {
            ++counts[static_cast<std::size_t>(table.members()[k].state)];
        }
        const auto content = content_of(table);
        for (std::size_t k = 1; k < content.size(); ++k) {
            ASSERT_LT(std::get<0>(content[k - 1]), std::get<0>(content[k]));
        }
        for (std::size_t s = 0; s < 4; ++s) {
            ASSERT_EQ(table.count(static_cast<MemberState>(s)), counts[s]);
        }
    }
}

TEST(MemberTable, ForgetsOnlyOldTombstonesOfOthers) {
    const Instant start{};
    Table table;
    table.apply(start, claim(1, {1, 0}, MemberState::Left));
    table.apply(start, claim(2, {1, 0}, MemberState::Alive));
    table.apply(start, claim(2, {1, 0}, MemberState::Failed));
    table.apply(start, claim(3, {1, 0}, MemberState::Alive));
    table.apply(start, claim(4, {1, 0}, MemberState::Alive));
    table.apply(start + std::chrono::seconds(5), claim(4, {1, 0}, MemberState::Failed));
    const auto gone =
        table.forget(start + std::chrono::seconds(10), std::chrono::seconds(10), peer(1));
    ASSERT_EQ(gone.size(), 1U);
    EXPECT_EQ(gone[0].id, peer(2));
    EXPECT_EQ(table.size(), 3U);
    EXPECT_EQ(table.count(MemberState::Failed), 1U);
}

TEST(MemberTable, IdsThatShareTheirLeadingBytesAreKeptApart) {
    Rng rng(1);
    Table table;
    std::vector<PeerId> ids;
    for (std::uint8_t i = 0; i < 100; ++i) {
        PeerId id = peer(static_cast<std::uint8_t>(i % 3));
        id.bytes[20] = i;
        ids.push_back(id);
    }
    rng.shuffle(std::span<PeerId>(ids));
    for (const auto& id : ids) {
        auto alive = claim(1, {1, 0}, MemberState::Alive);
        alive.subject = id;
        table.apply(Instant{}, alive);
    }
    for (const auto& id : ids) {
        ASSERT_TRUE(table.find(id).has_value());
        EXPECT_EQ(table.find(id)->id, id);
    }
    EXPECT_FALSE(table.find(peer(9)).has_value());
    EXPECT_TRUE(table.resolve(peer(1)).has_value());
    EXPECT_FALSE(table.resolve(peer(9)).has_value());
}

TEST(TableDigest, IsKeptUpWithEveryChange) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        Table table;
        for (const auto& statement : random_claims(rng)) {
            table.apply(Instant{}, statement);
            ASSERT_EQ(table.digest(), digest_of_members(table));
        }
        table.forget(Instant{} + std::chrono::hours(1), std::chrono::seconds(1), peer(200));
        EXPECT_EQ(table.digest(), digest_of_members(table));
    }
}

TEST(TableDigest, OfItsSlicesShowsWhereTwoTablesDiffer) {
    MemberTable a(std::make_shared<ClaimPool>());
    MemberTable b(std::make_shared<ClaimPool>());
    for (std::uint8_t i = 0; i < 250; ++i) {
        a.apply({}, claim(i, {1, 0}, MemberState::Alive));
        if (i != 77) b.apply({}, claim(i, {1, 0}, MemberState::Alive));
    }
    std::uint64_t all = 0;
    for (const auto digest : a.slice_digests()) all ^= digest;
    EXPECT_EQ(all, a.digest());
    EXPECT_EQ(a.differing(b.slice_digests()), Slices{1} << MemberTable::slice_of(peer(77)));
    b.apply({}, claim(77, {1, 0}, MemberState::Alive));
    EXPECT_EQ(a.differing(b.slice_digests()), 0U);
    b.apply({}, claim(3, {1, 0}, MemberState::Failed));
    EXPECT_EQ(a.differing(b.slice_digests()), Slices{1} << MemberTable::slice_of(peer(3)));
}

TEST(TableDigest, ShowsWhoIsUpAndAtWhichIncarnationButNoSuspicion) {
    const auto digest = [](const std::vector<Statement>& claims) {
        Table table;
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
