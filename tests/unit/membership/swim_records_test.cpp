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

    /// Publishes, and returns whether the machine has signed that.
    bool publish(bool decides) {
        while (swim.poll_transmit()) continue;
        const Bytes bytes(4, static_cast<std::byte>(++published));
        swim.set_record(now, bytes, decides);
        const auto said = swim.signed_record(peer(1));
        return std::equal(said.begin(), said.end(), bytes.begin(), bytes.end());
    }

    /// Returns the records of the machine itself in what it says to peer 2.
    std::vector<ProgressRecord> said_of_itself() {
        std::vector<ProgressRecord> told;
        for (const auto& packet : said(address_of(2))) {
            for (const auto& message : packet.messages) {
                const auto* record = std::get_if<ProgressRecord>(&message);
                if (record != nullptr && record->owner == peer(1)) told.push_back(*record);
            }
        }
        return told;
    }

    /// Returns the machine's own record in its page.
    [[nodiscard]] ProgressRecord newest() const {
        ProgressRecord found;
        const auto page = *parse_page(swim.push_pull_pages().front(), kTag);
        for (const auto& message : page.messages) {
            const auto* record = std::get_if<ProgressRecord>(&message);
            if (record != nullptr && record->owner == peer(1)) found = *record;
        }
        return found;
    }

    std::vector<ProgressRecord> answer_to_ping() {
        hear(2, {Ping{77, peer(1)}});
        return said_of_itself();
    }

    int published = 0;
};

TEST(SignedRecords, AreSignedWhenOthersDecideFromThemAndNowAndThen) {
    Reader reader;
    EXPECT_TRUE(reader.publish(false)) << "the first";
    EXPECT_FALSE(reader.publish(false));
    EXPECT_EQ(reader.swim.signed_record(peer(1)).front(), std::byte{1});
    EXPECT_EQ(reader.swim.record(peer(1)).front(), std::byte{2});
    EXPECT_TRUE(reader.publish(true));
    const auto told = reader.newest();
    EXPECT_TRUE(SampleNotary({}).verify(told.key, signed_text(told, sample_swarm()), told.signature)
    );
    reader.now += 900ms;
    EXPECT_FALSE(reader.publish(false));
    reader.now += 100ms;
    EXPECT_TRUE(reader.publish(false));
}

TEST(SignedRecords, ThatDecideNothingRideOnProbesAndOnlyNowAndThen) {
    Reader reader;
    reader.publish(true);
    const auto told_within = [&](int ticks) {
        std::size_t told = 0;
        for (int i = 0; i < ticks; ++i) {
            reader.now += 200ms;
            reader.swim.handle_timeout(reader.now);
            told += reader.said_of_itself().size();
            reader.hear(2, {Ack{1}, Ping{77, peer(1)}});
            // publish() would throw away what the machine has just answered.
            const Bytes counters(4, static_cast<std::byte>(100 + i));
            if (i % 5 == 0) reader.swim.set_record(reader.now, counters, false);
        }
        return told;
    };
    EXPECT_GT(told_within(20), 2U) << "a newcomer is not known yet: it is a rumour";
    (void)told_within(20);
    reader.publish(true);
    const auto told = told_within(5);
    EXPECT_GE(told, 2U) << "told directly, and then once more";
    EXPECT_LE(told, 5U);
    (void)told_within(20);
    const auto counters = told_within(100);
    EXPECT_GE(counters, 2U) << "in 20 s";
    EXPECT_LE(counters, 5U);
}

TEST(SignedRecords, ThatDecideSoonAfterEachOtherAreToldTogether) {
    Reader reader;
    reader.publish(true);
    reader.now += 1600ms;
    reader.swim.handle_timeout(reader.now);
    EXPECT_GE(reader.said_of_itself().size(), 1U);
    reader.publish(true);
    const auto newest = reader.newest();
    std::vector<ProgressRecord> told;
    for (int i = 0; i < 30; ++i) {
        reader.now += 50ms;
        reader.publish(true);
        reader.swim.handle_timeout(reader.now);
        for (const auto& record : reader.said_of_itself()) {
            if (told.empty() || told.back().version != record.version) told.push_back(record);
        }
        reader.hear(2, {Ack{1}});
    }
    ASSERT_GE(told.size(), 1U);
    EXPECT_LE(told.size(), 6U) << "of 30, in one and a half seconds";
    EXPECT_GT(told.back().version, newest.version);
    // The last one comes, too, also if the peer leaves at once.
    reader.publish(true);
    const auto last = reader.newest();
    reader.swim.leave(reader.now);
    bool said = false;
    for (const auto& record : reader.said_of_itself()) said = said || record == last;
    EXPECT_TRUE(said);
}

TEST(SignedRecords, OfASuspectAreToldToItsHeirs) {
    Reader reader;
    reader.hear(3, {claim(3, {1, 0}, MemberState::Alive)});
    reader.hear(2, {record_of(2, 1, 5, Bytes(7)), Ping{9, peer(1)}});
    const auto told = [&] {
        for (int i = 0; i < 20; ++i) {
            reader.now += 50ms;
            reader.swim.handle_timeout(reader.now);
            reader.hear(3, {Ack{1}});
            for (const auto& packet : reader.said(address_of(3))) {
                for (const auto& message : packet.messages) {
                    const auto* record = std::get_if<ProgressRecord>(&message);
                    if (record != nullptr && record->owner == peer(2)) return true;
                }
            }
        }
        return false;
    };
    EXPECT_FALSE(told());
    reader.hear(3, {claim(2, {1, 0}, MemberState::Suspect)});
    EXPECT_TRUE(told());
}

TEST(SignedRecords, ThatTheirOwnersTellInAProbeAreNotPassedOn) {
    for (const bool probing : {false, true}) {
        Reader reader;
        reader.hear(3, {claim(3, {1, 0}, MemberState::Alive)});
        std::vector<Message> told{record_of(2, 1, 5, Bytes(7))};
        if (probing) told.emplace_back(Ping{9, peer(1)});
        reader.hear(2, told);
        EXPECT_EQ(reader.swim.signed_record(peer(2)).size(), 7U);
        bool passed_on = false;
        for (int i = 0; i < 20; ++i) {
            reader.now += 100ms;
            reader.swim.handle_timeout(reader.now);
            for (const auto& packet : reader.said(address_of(3))) {
                for (const auto& message : packet.messages) {
                    const auto* record = std::get_if<ProgressRecord>(&message);
                    passed_on = passed_on || (record != nullptr && record->owner == peer(2));
                }
            }
        }
        EXPECT_EQ(passed_on, !probing);
    }
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
    EXPECT_TRUE(reader.publish(true));
    EXPECT_EQ(reader.newest().epoch, 3U) << "what others show in our name is no word of ours";
    reader.hear(2, {record_of(1, 5, 70, Bytes(3))});
    EXPECT_TRUE(reader.publish(true));
    const auto next = reader.newest();
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
