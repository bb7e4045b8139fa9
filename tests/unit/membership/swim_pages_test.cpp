// Goal: two tables of any size become one over a stream, and no more is sent than differs. Method:
// machines with many members, pages handed over by hand.

#include <gtest/gtest.h>

#include "membership/swim.hpp"
#include "tests/unit/membership/support/alone.hpp"

namespace starling::membership {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Swim, ManyMembersAndRecordsNeedSeveralPagesThatAllMerge) {
    Alone alone;
    std::vector<Bytes> first = alone.swim.push_pull_pages();
    EXPECT_EQ(first.size(), 1U);
    for (std::uint8_t i = 2; i < 200; ++i) {
        alone.hear(
            i, {claim(i, {1, 0}, MemberState::Alive), record_of(i, 1, 1, Bytes(kRecordMax))}
        );
    }
    const auto pages = alone.swim.push_pull_pages();
    EXPECT_GT(pages.size(), 1U);
    Swim other(alone.config, self_of(peer(201), address_of(201), 1), Rng(2), alone.now);
    for (const auto& page : pages) {
        EXPECT_LE(page.size(), kPageMax);
        ASSERT_TRUE(other.handle_push_pull(alone.now, page));
    }
    EXPECT_EQ(other.members().size(), 200U);
    EXPECT_EQ(other.recorded_peers().size(), 198U);
}

/// Spread over the slices as the ids of real peers are.
Statement spread_claim(std::uint8_t number) {
    Statement statement = claim(number, {1, 0}, MemberState::Alive);
    statement.subject.bytes[0] = static_cast<std::uint8_t>(37 * number);
    statement.subject.bytes[1] = number;
    sign(statement);
    return statement;
}

std::size_t total(const std::vector<Bytes>& pages) {
    std::size_t bytes = 0;
    for (const auto& page : pages) bytes += page.size();
    return bytes;
}

TEST(Swim, LargeTablesTellEachOtherOnlyWhereTheyDiffer) {
    Alone alone;
    Swim other(alone.config, self_of(peer(201), address_of(201), 1), Rng(2), alone.now);
    const auto learn = [&](Swim& swim, std::uint8_t number) {
        const auto alive = spread_claim(number);
        const Packet page{alive.subject, {alive}};
        ASSERT_TRUE(swim.handle_push_pull(alone.now, encode(page, kTag, kPageMax)));
    };
    for (std::uint8_t i = 2; i < 150; ++i) {
        if (i != 7) learn(alone.swim, i);
        if (i != 8) learn(other, i);
    }
    const auto merge = [&](Swim& swim, const std::vector<Bytes>& pages) {
        StreamAnswer answer;
        for (const auto& page : pages) answer = swim.handle_push_pull(alone.now, page).value();
        return answer;
    };
    const StreamRequest compare{peer(201), address_of(201), StreamRequest::Kind::Compare};
    const auto question = alone.swim.pages_for(compare);
    const auto answer = other.pages_for(merge(other, question));
    merge(alone.swim, answer);
    EXPECT_NE(alone.swim.claim_of(spread_claim(7).subject), nullptr);
    EXPECT_LT(total(question) + total(answer), total(other.push_pull_pages()) / 4);
    EXPECT_FALSE(alone.swim.poll_stream().has_value()) << "nobody is told who did not ask";
}

TEST(Swim, AComparisonEndsWithBothTablesTheSame) {
    Cluster cluster(7);
    cluster.grow(70);
    cluster.run(seconds(10));
    ASSERT_TRUE(cluster.whole());
    // Long enough to fail, too short to be forgotten: the tables stay large.
    cluster.link = [](std::size_t a, std::size_t b) { return a % 2 == b % 2; };
    cluster.run(seconds(30));
    ASSERT_FALSE(cluster.whole());
    const auto compared = cluster.requests(StreamRequest::Kind::Compare);
    const auto told = cluster.requests(StreamRequest::Kind::Tell);
    cluster.link = [](std::size_t, std::size_t) { return true; };
    cluster.run(seconds(30));
    EXPECT_TRUE(cluster.whole());
    EXPECT_GT(cluster.requests(StreamRequest::Kind::Compare), compared);
    EXPECT_GT(cluster.requests(StreamRequest::Kind::Tell), told);
}

}  // namespace
}  // namespace starling::membership
