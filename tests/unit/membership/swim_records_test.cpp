// Goal: what the swarm decides from is signed by its owner and by nobody else, and lies cost the liar
// more than us. Method: one machine that a test talks to by hand.

#include <algorithm>
#include <gtest/gtest.h>

#include "membership/verify_budget.hpp"
#include "tests/unit/membership/support/alone.hpp"

namespace starling::membership {
namespace {

using namespace std::chrono_literals;

Bytes page_of(std::uint8_t sender, std::vector<Message> messages) {
    return encode({peer(sender), std::move(messages)}, kTag, kPageMax);
}

/// A machine that knows peer 2.
struct Reader : Alone {
    Reader() { hear(2, {claim(2, {1, 0}, MemberState::Alive)}); }

    /// Publishes and returns what the machine then says of itself.
    ProgressRecord publish(bool decides) {
        while (swim.poll_transmit()) continue;
        swim.set_record(now, Bytes(4, static_cast<std::byte>(++published)), decides);
        for (const auto& page : swim.push_pull_pages()) {
            ProgressRecord last;
            const auto packet = *parse_page(page, kTag);
            for (const auto& message : packet.messages) {
                const auto* record = std::get_if<ProgressRecord>(&message);
                if (record != nullptr && record->owner == peer(1)) last = *record;
            }
            return last;
        }
        return {};
    }

    int published = 0;
};

TEST(SignedRecords, AreSignedWhenOthersDecideFromThemAndNowAndThen) {
    Reader reader;
    EXPECT_TRUE(reader.publish(false).is_signed) << "the first";
    EXPECT_FALSE(reader.publish(false).is_signed);
    EXPECT_EQ(reader.swim.signed_record(peer(1)).front(), std::byte{1});
    EXPECT_EQ(reader.swim.record(peer(1)).front(), std::byte{2});
    const auto decides = reader.publish(true);
    EXPECT_TRUE(decides.is_signed);
    EXPECT_TRUE(SampleNotary({}).verify(
        decides.key, signed_text(decides, sample_swarm()), decides.signature
    ));
    reader.now += 9s;
    EXPECT_FALSE(reader.publish(false).is_signed);
    reader.now += 1s;
    EXPECT_TRUE(reader.publish(false).is_signed);
}

TEST(SignedRecords, CountOnlyWithTheirOwnersSignatureAndANewerNumber) {
    Reader reader;
    reader.hear(3, {record_of(2, 1, 5, Bytes(1))});
    EXPECT_EQ(reader.swim.signed_record(peer(2)).size(), 1U);
    auto forged = record_of(2, 1, 6, Bytes(2));
    forged.bytes.front() = std::byte{9};
    reader.hear(3, {forged});
    auto replayed = record_of(2, 1, 4, Bytes(3));
    reader.hear(3, {replayed});
    reader.hear(3, {ProgressRecord{peer(2), 1, 7, Bytes(4)}});
    EXPECT_EQ(reader.swim.signed_record(peer(2)).size(), 1U);
    EXPECT_EQ(reader.swim.record(peer(2)).size(), 4U) << "for people";
    EXPECT_EQ(reader.swim.counters().forged, 1U);
}

TEST(SignedRecords, OfPeersThatNobodyHasHadAsMembersAreDropped) {
    Reader reader;
    reader.hear(2, {record_of(7, 1, 1, Bytes(1))});
    ASSERT_TRUE(reader.swim.handle_push_pull(reader.now, page_of(2, {record_of(7, 1, 1)})));
    EXPECT_TRUE(reader.swim.recorded_peers().empty());
    EXPECT_EQ(reader.swim.counters().unvouched, 2U);
    // A newcomer has only its seed's word for what was before.
    Alone newcomer;
    const std::vector<Message> told{
        claim(2, {1, 0}, MemberState::Alive), record_of(7, 1, 1, Bytes(1))};
    ASSERT_TRUE(newcomer.swim.handle_push_pull(newcomer.now, page_of(2, told)));
    ASSERT_TRUE(newcomer.swim.handle_push_pull(newcomer.now, page_of(2, {record_of(8, 1, 1)})));
    EXPECT_EQ(newcomer.swim.recorded_peers().size(), 2U) << "the seed's second page as well";
    ASSERT_TRUE(newcomer.swim.handle_push_pull(newcomer.now, page_of(3, {record_of(9, 1, 1)})));
    EXPECT_EQ(newcomer.swim.recorded_peers().size(), 2U);
}

TEST(SignedRecords, OfOurselvesRaiseOurNumberOnlyIfWeHaveSignedThem) {
    Reader reader;
    reader.publish(true);
    reader.hear(2, {ProgressRecord{peer(1), 9, 9, Bytes(3)}});
    EXPECT_EQ(reader.publish(true).epoch, 3U) << "what others show in our name is no word of ours";
    reader.hear(2, {record_of(1, 5, 70, Bytes(3))});
    const auto next = reader.publish(true);
    EXPECT_EQ(next.epoch, 5U);
    EXPECT_GT(next.version, 70U);
    EXPECT_TRUE(next.is_signed);
}

TEST(SignedRecords, ForgedStatementsEndThePageAndAreToldOfItsSender) {
    Reader reader;
    std::vector<Message> lies;
    for (std::uint8_t number = 10; number < 60; ++number) {
        auto forged = claim(number, {1, 0}, MemberState::Alive);
        forged.signature[0] ^= 1U;
        lies.emplace_back(forged);
    }
    lies.emplace_back(claim(60, {1, 0}, MemberState::Alive));
    const auto verdict = reader.swim.handle_push_pull(reader.now, page_of(2, lies));
    ASSERT_TRUE(verdict.has_value());
    EXPECT_EQ(verdict->forged, 3U);
    EXPECT_EQ(reader.swim.counters().forged, 3U) << "the rest was not looked at";
    EXPECT_FALSE(reader.swim.find(peer(60)).has_value());
    const auto honest = reader.swim.handle_push_pull(
        reader.now, page_of(2, {claim(2, {1, 0}, MemberState::Alive), record_of(2, 1, 1)})
    );
    ASSERT_TRUE(honest.has_value());
    EXPECT_EQ(honest->forged, 0U);
}

TEST(SignedRecords, SoManySignaturesAreCheckedInASecondAndNoMore) {
    Reader reader;
    auto forged = record_of(2, 1, 5, Bytes(1));
    forged.signature[0] ^= 1U;
    const auto flood = [&](int count) {
        const auto before = reader.swim.counters().forged;
        for (int i = 0; i < count; ++i) reader.hear(3, {forged});
        return reader.swim.counters().forged - before;
    };
    (void)flood(10'000);
    EXPECT_GT(reader.swim.counters().postponed, 5'000U);
    EXPECT_EQ(flood(100), 0U);
    reader.now += 1s;
    EXPECT_EQ(flood(2'000), static_cast<std::uint64_t>(VerifyBudget::kPerSecond));
    reader.now += 1s;
    reader.hear(3, {record_of(2, 1, 5, Bytes(1))});
    EXPECT_EQ(reader.swim.signed_record(peer(2)).size(), 1U);
}

}  // namespace
}  // namespace starling::membership
