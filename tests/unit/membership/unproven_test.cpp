// Goal: whoever has made members up gains nothing by it, and real ones are members at once. Method: the
// container alone; then one machine that a test talks to by hand.

#include "membership/unproven.hpp"

#include <gtest/gtest.h>

#include "tests/unit/membership/support/alone.hpp"
#include "tests/unit/membership/support/cluster.hpp"

namespace starling::membership {
namespace {

using namespace std::chrono_literals;

Statement alive(std::uint8_t number, std::uint64_t counter = 0) {
    return claim(number, {1, counter}, MemberState::Alive);
}

Statement invented(std::uint16_t number) {
    Statement statement = alive(9);
    statement.subject.bytes[1] = static_cast<std::uint8_t>(number);
    statement.subject.bytes[2] = static_cast<std::uint8_t>(number >> 8U);
    statement.subject.bytes[3] = 7;
    sign(statement);
    return statement;
}

TEST(Unproven, AreBoundedAndTheOldestGivesWay) {
    Unproven unproven;
    for (std::uint16_t i = 0; i < kUnprovenMax + 10; ++i) unproven.hold({}, invented(i));
    EXPECT_EQ(unproven.size(), kUnprovenMax);
    EXPECT_EQ(unproven.find(invented(9).subject), nullptr);
    EXPECT_NE(unproven.find(invented(10).subject), nullptr);
}

TEST(Unproven, AreAskedInTurnNeverTwiceInARowAndThenForgotten) {
    Unproven unproven;
    unproven.hold({}, alive(2));
    unproven.hold({}, alive(3));
    EXPECT_EQ(unproven.next_to_ask({}, 1s)->claim.subject, peer(2));
    EXPECT_EQ(unproven.next_to_ask({}, 1s)->claim.subject, peer(3));
    EXPECT_FALSE(unproven.next_to_ask({}, 1s).has_value());
    EXPECT_FALSE(unproven.next_to_ask(Instant{900ms}, 1s).has_value());
    Instant now{};
    int asked = 2;
    for (; now < Instant{60s}; now += 1s) {
        if (unproven.next_to_ask(now, 1s)) ++asked;
    }
    EXPECT_EQ(asked, 2 * Unproven::kAskedMax);
    EXPECT_EQ(unproven.size(), 0U);
}

/// A machine that knows peers 2 and 3.
struct Hearer : Alone {
    Hearer() {
        for (std::uint8_t i = 2; i <= 3; ++i) hear(i, {alive(i)});
    }

    [[nodiscard]] bool knows(std::uint8_t number) const {
        return swim.find(peer(number)).has_value();
    }
};

TEST(Proof, AMemberOfWhomOnlyClaimsAreKnownIsHeldApart) {
    Hearer hearer;
    hearer.hear(2, {alive(5)});
    EXPECT_FALSE(hearer.knows(5));
    EXPECT_EQ(hearer.swim.alive_count(), 3U);
    EXPECT_EQ(hearer.swim.unproven_count(), 1U);
    hearer.hear(2, {alive(5), alive(5, 1)});
    EXPECT_FALSE(hearer.knows(5)) << "the same voucher again";
    hearer.hear(77, {alive(5)});
    EXPECT_FALSE(hearer.knows(5)) << "a voucher whom nobody knows";
    for (int i = 0; i < 20; ++i) {
        hearer.now += 100ms;
        hearer.swim.handle_timeout(hearer.now);
        for (const auto& packet : hearer.said(address_of(3))) {
            for (const auto& message : packet.messages) {
                const auto* told = std::get_if<Statement>(&message);
                EXPECT_FALSE(told != nullptr && told->subject == peer(5)) << "passed on";
            }
        }
    }
}

TEST(Proof, ASecondVoucherAnAnswerOrAStreamMakesItAMember) {
    Hearer vouched;
    vouched.hear(2, {alive(5)});
    vouched.hear(3, {alive(5)});
    EXPECT_TRUE(vouched.knows(5));
    Hearer asked;
    asked.hear(2, {alive(5)});
    const auto packets = asked.said(address_of(5));
    ASSERT_EQ(packets.size(), 1U) << "a small swarm asks at once";
    const auto& ping = std::get<Ping>(packets.front().messages.front());
    EXPECT_EQ(ping.target, peer(5));
    asked.hear(5, {Ack{ping.probe}});
    EXPECT_TRUE(asked.knows(5));
    Hearer streamed;
    streamed.hear(2, {alive(5)});
    streamed.swim.handle_stream_pong(streamed.now, peer(5));
    EXPECT_TRUE(streamed.knows(5));
    EXPECT_EQ(streamed.swim.unproven_count(), 0U);
}

TEST(Proof, ARecordThatCameBeforeTheProofCountsAfterIt) {
    Hearer hearer;
    hearer.hear(2, {alive(5), record_of(5, 1, 1, Bytes(3))});
    EXPECT_TRUE(hearer.swim.signed_record(peer(5)).empty());
    hearer.hear(3, {alive(5)});
    EXPECT_EQ(hearer.swim.signed_record(peer(5)).size(), 3U);
}

TEST(Proof, APageInAnotherMembersNameIsDropped) {
    Hearer hearer;
    hearer.hear(2, {alive(5)});
    const auto page = encode({peer(3), {alive(3), alive(5)}}, kTag, kPageMax);
    EXPECT_FALSE(hearer.swim.handle_push_pull(hearer.now, page, peer(2)).has_value());
    EXPECT_FALSE(hearer.knows(5));
    EXPECT_TRUE(hearer.swim.handle_push_pull(hearer.now, page, peer(3)).has_value());
    EXPECT_TRUE(hearer.knows(5));
}

TEST(Proof, ThreeThousandInventedMembersAreNobody) {
    Hearer hearer;
    std::size_t datagrams = 0;
    for (std::uint16_t i = 0; i < 3000; ++i) {
        if (i % 5 == 0) hearer.now += 10ms;
        hearer.swim.handle_timeout(hearer.now);
        hearer.hear(2, {invented(i)});
        hearer.hear(2, {Ack{1}});
        hearer.hear(3, {Ack{1}});
        while (hearer.swim.poll_transmit()) ++datagrams;
        while (hearer.swim.poll_stream()) continue;
    }
    EXPECT_EQ(hearer.swim.members().size(), 3U);
    EXPECT_LE(hearer.swim.unproven_count(), kUnprovenMax);
    EXPECT_LT(datagrams, 200U) << "what a liar names as addresses may be anybody's";
}

TEST(Proof, ANewcomerKnowsAllByTheMemberThatItMetFirst) {
    Cluster cluster(5);
    cluster.grow(20);
    cluster.grow(1);
    EXPECT_EQ(cluster.swim(20).alive_count(), 21U);
    EXPECT_EQ(cluster.swim(20).unproven_count(), 0U);
    EXPECT_TRUE(cluster.whole()) << "and all know it, because it has told them";
}

}  // namespace
}  // namespace starling::membership
