// Goal: what is remembered of gone members is bounded, and the oldest goes first. Method: let more
// members go than the memory holds.

#include "membership/departed.hpp"

#include <gtest/gtest.h>
#include <set>

#include "membership/records.hpp"
#include "tests/unit/membership/support/samples.hpp"

namespace starling::membership {
namespace {

PeerId numbered(std::uint64_t number) {
    PeerId id;
    for (std::size_t i = 0; i < 8; ++i) id.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
    return id;
}

Instant at(std::uint64_t seconds) {
    return Instant{} + std::chrono::seconds(static_cast<std::int64_t>(seconds));
}

Member failed(std::uint64_t number) {
    return {
        numbered(number), address_of(1), {1, number}, MemberState::Failed, true, true, at(number)};
}

TEST(Departed, AreBoundedDropTheOldestAndExpire) {
    Departed departed;
    for (std::uint64_t i = 0; i < kDepartedMax + 10; ++i) departed.add(at(i), failed(i));
    EXPECT_EQ(departed.all().size(), kDepartedMax);
    EXPECT_EQ(departed.find(numbered(9)), nullptr);
    ASSERT_NE(departed.find(numbered(10)), nullptr);
    departed.expire(at(20), std::chrono::seconds(5));
    EXPECT_EQ(departed.find(numbered(15)), nullptr);
    EXPECT_NE(departed.find(numbered(16)), nullptr);
}

TEST(Lost, AreBoundedAndTriedLessOftenTheLongerTheyAreGone) {
    Lost lost;
    for (std::uint64_t i = 0; i < kLostMax + 10; ++i) lost.add(at(i), failed(i));
    EXPECT_EQ(lost.size(), kLostMax);
    const Duration second = std::chrono::seconds(1);
    const auto waits = [&](std::uint64_t age) {
        Lost one;
        one.add(at(0), failed(1));
        EXPECT_EQ(one.due(at(age), second, 8).size(), 1U);
        EXPECT_TRUE(one.due(at(age), second, 8).empty()) << "twice in a row";
        return to_seconds(one.next_due(at(age), second) - at(age));
    };
    EXPECT_EQ(waits(0), 2.0);
    EXPECT_EQ(waits(80), 10.0);
    EXPECT_EQ(waits(600), 25.0);
    EXPECT_EQ(waits(40 * 3600), 3600.0);
}

TEST(Lost, ThoseThatLivedLatelyComeFirstAndAllHaveTheirTurn) {
    Lost lost;
    for (std::uint64_t i = 0; i < 200; ++i) lost.add(at(i), failed(i));
    const Duration second = std::chrono::seconds(1);
    std::set<PeerId> tried;
    const auto first = lost.due(at(700), second, 8);
    EXPECT_EQ(first.front().id, numbered(199));
    for (const auto& address : first) tried.insert(address.id);
    for (std::uint64_t t = 701; t < 725; ++t) {
        for (const auto& address : lost.due(at(t), second, 8)) tried.insert(address.id);
    }
    EXPECT_EQ(tried.size(), 200U) << "within half a minute";
}

TEST(Lost, OneThatIsHeardIsNoticedOnceInAWhile) {
    Lost lost;
    const Duration second = std::chrono::seconds(1);
    lost.add(at(0), failed(1));
    EXPECT_TRUE(lost.heard(numbered(1), at(5), second));
    EXPECT_FALSE(lost.heard(numbered(1), at(6), second));
    EXPECT_TRUE(lost.heard(numbered(1), at(8), second));
    EXPECT_FALSE(lost.heard(numbered(2), at(8), second));
}

TEST(Records, NewestWinsAndTheLongestGoneAreDropped) {
    Records records;
    EXPECT_TRUE(records.merge({numbered(1), 1, 5, Bytes(1), true}, true));
    EXPECT_FALSE(records.merge({numbered(1), 1, 5, Bytes(2), true}, true));
    EXPECT_FALSE(records.merge({numbered(1), 1, 4, Bytes(2), true}, true));
    EXPECT_TRUE(records.merge({numbered(1), 2, 0, Bytes(3), true}, true));
    EXPECT_EQ(records.find(numbered(1))->bytes.size(), 3U);
    for (std::uint64_t i = 2; i < kGoneRecordsMax + 3; ++i) {
        records.merge({numbered(i), 1, 1, {}, true}, false);
    }
    EXPECT_EQ(records.find(numbered(2)), nullptr) << "the longest gone should have been dropped";
    EXPECT_NE(records.find(numbered(1)), nullptr) << "a present member's record must stay";
    EXPECT_EQ(records.owners().size(), kGoneRecordsMax + 1);
    records.owner_present(numbered(3));
    records.owner_gone(numbered(1));
    records.owner_gone(numbered(3));
    records.owner_gone(numbered(3));
    EXPECT_NE(records.find(numbered(3)), nullptr);
}

TEST(Records, UnsignedOnesStandBesideTheSignedOneAndOnlyUntilTheNext) {
    Records records;
    EXPECT_FALSE(records.merge({numbered(1), 1, 5, Bytes(1)}, true)) << "nothing is signed yet";
    EXPECT_TRUE(records.merge({numbered(1), 1, 5, Bytes(1), true}, true));
    EXPECT_TRUE(records.merge({numbered(1), 1, 6, Bytes(2)}, true));
    EXPECT_EQ(records.find(numbered(1))->bytes.size(), 2U);
    EXPECT_EQ(records.find_signed(numbered(1))->bytes.size(), 1U);
    EXPECT_FALSE(records.merge({numbered(1), 1, 6 + kUnsignedAheadMax, Bytes(3)}, true));
    EXPECT_FALSE(records.merge({numbered(1), 2, 6, Bytes(3)}, true)) << "another epoch";
    // A forged one lasts until its owner signs again, whatever its version.
    EXPECT_TRUE(records.merge({numbered(1), 1, 5000, Bytes(4)}, true));
    EXPECT_FALSE(records.merge({numbered(1), 1, 7, Bytes(2)}, true));
    EXPECT_TRUE(records.merge({numbered(1), 1, 8, Bytes(5), true}, true));
    EXPECT_EQ(records.find(numbered(1))->bytes.size(), 5U);
    std::size_t visited = 0;
    records.merge({numbered(1), 1, 9, Bytes(6)}, true);
    records.for_each([&](const ProgressRecord&) { ++visited; });
    EXPECT_EQ(visited, 2U);
}

}  // namespace
}  // namespace starling::membership
