// Goal: rumours leave in the right order, within the budget, and a bounded number of times. Method:
// few rumours by hand, many beside a naive queue.

#include "membership/dissemination.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <string>
#include <tuple>

#include "membership/codec.hpp"
#include "tests/unit/membership/support/samples.hpp"

namespace starling::membership {
namespace {

std::vector<Message> take(Dissemination& queue, std::size_t budget, std::size_t limit) {
    std::vector<Message> out;
    queue.fill(out, budget, limit);
    return out;
}

TEST(TransmitLimit, IsTheCeilingOfLogNPlusFive) {
    EXPECT_EQ(transmit_limit(0), 5U);
    EXPECT_EQ(transmit_limit(1), 5U);
    EXPECT_EQ(transmit_limit(2), 6U);
    EXPECT_EQ(transmit_limit(16), 8U);
    EXPECT_EQ(transmit_limit(1000), 12U);
}

TEST(Dissemination, GoodNewsPrecedesBadAndClaimsPrecedeRecords) {
    Dissemination queue;
    const ProgressRecord record{peer(1), 1, 1, {}};
    const auto suspect = claim(2, {1, 0}, MemberState::Suspect);
    const auto alive = claim(3, {1, 0}, MemberState::Alive);
    queue.push(alive);
    queue.push(suspect);
    queue.push(record);
    EXPECT_EQ(take(queue, 1000, 9), (std::vector<Message>{alive, suspect, record}));
}

TEST(Dissemination, TheLeastSentGoesFirst) {
    Dissemination queue;
    const auto first = claim(1, {1, 0}, MemberState::Alive);
    const auto second = claim(2, {1, 0}, MemberState::Suspect);
    queue.push(first);
    EXPECT_EQ(take(queue, wire_size(first), 9).size(), 1U);
    queue.push(second);
    EXPECT_EQ(take(queue, wire_size(second), 9), std::vector<Message>{second});
}

TEST(Dissemination, NewerNewsReplacesOlderAboutTheSamePeer) {
    Dissemination queue;
    queue.push(claim(1, {1, 0}, MemberState::Suspect));
    queue.push(claim(1, {1, 1}, MemberState::Alive));
    queue.push(ProgressRecord{peer(1), 1, 1, {}});
    queue.push(ProgressRecord{peer(1), 1, 2, {}});
    EXPECT_EQ(queue.size(), 2U);
    const auto sent = take(queue, 1000, 9);
    ASSERT_EQ(sent.size(), 2U);
    EXPECT_EQ(std::get<Statement>(sent[0]).state, MemberState::Alive);
    EXPECT_EQ(std::get<ProgressRecord>(sent[1]).version, 2U);
}

TEST(Dissemination, StaysWithinTheBudgetAndTakesASmallerOneInstead) {
    Dissemination queue;
    const auto alive = claim(1, {1, 0}, MemberState::Alive);
    const auto suspect = claim(2, {1, 0}, MemberState::Suspect);
    queue.push(suspect);
    queue.push(alive);
    EXPECT_TRUE(take(queue, wire_size(suspect) - 1, 9).empty());
    EXPECT_EQ(take(queue, wire_size(alive) - 1, 9), std::vector<Message>{suspect});
    EXPECT_EQ(take(queue, wire_size(alive), 9), std::vector<Message>{alive});
}

TEST(Dissemination, HoldsAtMostItsBoundAndDropsRecordsFirstThenTheMostSent) {
    Dissemination queue;
    const auto number = [](std::size_t i) {
        PeerId id;
        id.bytes[0] = static_cast<std::uint8_t>(i >> 8U);
        id.bytes[1] = static_cast<std::uint8_t>(i);
        return id;
    };
    const auto about = [&](std::size_t i) {
        auto statement = claim(1, {1, 0}, MemberState::Alive);
        statement.subject = number(i);
        return statement;
    };
    queue.push(ProgressRecord{number(1), 1, 1, {}});
    queue.push(about(0));
    EXPECT_EQ(take(queue, wire_size(about(0)), 9).size(), 1U);
    for (std::size_t i = 1; i < kRumoursMax; ++i) queue.push(about(i));
    EXPECT_EQ(queue.size(), kRumoursMax) << "the record went";
    queue.push(about(kRumoursMax));
    EXPECT_EQ(queue.size(), kRumoursMax);
    for (const auto& message : take(queue, std::size_t{1} << 20U, 9)) {
        EXPECT_NE(std::get<Statement>(message).subject, number(0)) << "it had been sent once";
    }
}

/// The queue as its order reads, sorted anew for each datagram.
class NaiveQueue {
public:
    void push(const Statement& statement) {
        std::erase_if(rumours_, [&](const Rumour& r) {
            return r.statement.subject == statement.subject;
        });
        rumours_.push_back({0, is_accusation(statement.state), --age_, statement, false});
        std::sort(rumours_.begin(), rumours_.end(), before);
        if (rumours_.size() > kRumoursMax) rumours_.pop_back();
    }

    std::vector<Message> take(std::size_t budget, std::size_t limit) {
        std::vector<Message> out;
        std::size_t misses = 0;
        for (auto& r : rumours_) {
            if (misses == 16) break;
            if (wire_size(r.statement) > budget) {
                ++misses;
                continue;
            }
            budget -= wire_size(r.statement);
            out.emplace_back(r.statement);
            r.over = ++r.sent >= limit;
        }
        std::erase_if(rumours_, [](const Rumour& r) { return r.over; });
        std::sort(rumours_.begin(), rumours_.end(), before);
        return out;
    }

private:
    struct Rumour {
        std::size_t sent = 0;
        bool bad = false;
        int age = 0;
        Statement statement;
        bool over = false;
    };

    static bool before(const Rumour& a, const Rumour& b) {
        return std::tie(a.sent, a.bad, a.age) < std::tie(b.sent, b.bad, b.age);
    }

    std::vector<Rumour> rumours_;
    int age_ = 0;
};

TEST(Dissemination, SaysWhatAQueueSortedAnewForEachDatagramSays) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        Dissemination queue;
        NaiveQueue naive;
        for (int i = 0; i < 2000; ++i) {
            auto statement = random_claim(rng, 3);
            statement.subject.bytes[1] = static_cast<std::uint8_t>(rng.below(256));
            queue.push(statement);
            naive.push(statement);
            if (rng.chance(0.6)) continue;
            const auto budget = static_cast<std::size_t>(rng.below(1400));
            const auto limit = static_cast<std::size_t>(1 + rng.below(12));
            ASSERT_EQ(take(queue, budget, limit), naive.take(budget, limit)) << i;
        }
    }
}

TEST(Dissemination, SendsEachRumourExactlyItsLimit) {
    Dissemination queue;
    for (std::uint8_t i = 0; i < 30; ++i) queue.push(claim(i, {1, 0}, MemberState::Alive));
    std::size_t sent = 0;
    while (!queue.empty()) sent += take(queue, 500, 7).size();
    EXPECT_EQ(sent, 30U * 7U);
}

}  // namespace
}  // namespace starling::membership
