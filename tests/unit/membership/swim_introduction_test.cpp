// Goal: a datagram introduces us exactly until its receiver has shown that it knows our present life,
// and again when either side may have forgotten. Method: one machine that a test talks to by hand,
// and a table that is large.

#include <gtest/gtest.h>

#include "tests/unit/membership/support/alone.hpp"

namespace starling::membership {
namespace {

using namespace std::chrono_literals;

/// Runs the machine's time up to its next probe of peer 2, and returns that datagram.
struct Prober : Alone {
    Prober() { hear(2, {claim(2, {1, 0}, MemberState::Alive)}); }

    Datagram next_ping() {
        for (int i = 0; i < 100; ++i) {
            now = std::max(now, swim.poll_timeout().value_or(now));
            swim.handle_timeout(now);
            std::optional<Datagram> ping;
            while (auto datagram = swim.poll_transmit()) {
                if (datagram->to == address_of(2) && probe_in(*datagram))
                    ping = std::move(*datagram);
            }
            if (ping) return *ping;
        }
        ADD_FAILURE() << "no ping";
        return {};
    }

    static std::optional<std::uint64_t> probe_in(const Datagram& datagram) {
        const auto packet = parse_datagram(datagram.bytes, kTag);
        EXPECT_TRUE(packet.has_value());
        for (const auto& message : packet->messages) {
            if (const auto* ping = std::get_if<Ping>(&message)) return ping->probe;
        }
        return std::nullopt;
    }

    void answer(const Datagram& ping) {
        hear(2, {Ack{*probe_in(ping)}});
        (void)said(address_of(2));
    }
};

TEST(Introduction, GoesOnUntilTheMemberHasAcknowledged) {
    Prober prober;
    const auto ping = prober.next_ping();
    EXPECT_FALSE(ping.receiver.has_value());
    // A datagram of theirs does not show that they can open ours.
    prober.hear(2, {Ping{6, peer(1)}});
    const auto ack = prober.swim.poll_transmit();
    ASSERT_TRUE(ack.has_value());
    EXPECT_FALSE(ack->receiver.has_value());
    prober.answer(ping);
    EXPECT_EQ(prober.next_ping().receiver, peer(2).bytes);
}

TEST(Introduction, IsOverForWhoeverHasOurTable) {
    Prober prober;
    MemberTable theirs(std::make_shared<ClaimPool>());
    auto ours = claim(1, prober.swim.incarnation(), MemberState::Alive);
    theirs.apply({}, ours);
    theirs.apply({}, claim(2, {1, 0}, MemberState::Alive));
    prober.hear(2, {Ping{7, peer(1)}, TableDigest{theirs.digest() ^ 1U}});
    EXPECT_FALSE(prober.next_ping().receiver.has_value());
    prober.hear(2, {Ping{8, peer(1)}, TableDigest{theirs.digest()}});
    const auto ack = prober.swim.poll_transmit();
    ASSERT_TRUE(ack.has_value());
    EXPECT_TRUE(ack->receiver.has_value()) << "the answer itself is short already";
}

TEST(Introduction, BeginsAnewAfterAMissAndWhenTheMemberStartsAgain) {
    Prober prober;
    prober.answer(prober.next_ping());
    const auto unanswered = prober.next_ping();
    EXPECT_TRUE(unanswered.receiver.has_value());
    const auto ping = prober.next_ping();
    EXPECT_FALSE(ping.receiver.has_value());
    prober.answer(ping);
    prober.hear(2, {claim(2, {1, 5}, MemberState::Alive)});
    const auto same_life = prober.next_ping();
    EXPECT_TRUE(same_life.receiver.has_value()) << "a refutation is no new life";
    prober.answer(same_life);
    prober.hear(2, {claim(2, {2, 0}, MemberState::Alive)});
    EXPECT_FALSE(prober.next_ping().receiver.has_value());
}

TEST(Introduction, BeginsAnewWithALifeOfOurOwn) {
    Prober prober;
    prober.answer(prober.next_ping());
    const auto before = prober.swim.incarnation();
    // Our own key has said more than this process has: another process runs with it.
    auto other = claim(1, {before.epoch, before.counter + 4}, MemberState::Alive);
    other.address = address_of(9);
    sign(other);
    prober.hear(2, {other});
    ASSERT_GT(prober.swim.incarnation().epoch, before.epoch);
    (void)prober.said(address_of(2));
    const auto ping = prober.next_ping();
    EXPECT_FALSE(ping.receiver.has_value());
    EXPECT_LE(ping.bytes.size() + prober.swim.introduction().size(), kPacketMax);
}

TEST(Introduction, IsOurOwnSignedClaimWithTheSalt) {
    BootSalt salt{};
    salt.fill(0x5a);
    auto self = self_of(peer(1), address_of(1), 3);
    self.salt = salt;
    SwimConfig config;
    config.swarm = sample_swarm();
    const Swim swim(config, self, Rng(1), {});
    auto bytes = swim.introduction();
    const auto own = take_claim(bytes, SampleNotary({}));
    ASSERT_TRUE(own.has_value());
    EXPECT_TRUE(bytes.empty());
    EXPECT_EQ(own->subject, peer(1));
    EXPECT_EQ(salt_of(own->tail), salt);
    EXPECT_TRUE(SampleNotary({}).verify(own->key, signed_text(*own, sample_swarm()), own->signature)
    );
    EXPECT_EQ(*swim.claim_of(ShortId(peer(1))), *own);
    EXPECT_EQ(swim.claim_of(ShortId(peer(3))), nullptr);
}

TEST(Introduction, LeavesNoCorrectionsTooLongForItsDatagram) {
    Alone alone;
    // Members with the longest tails there are, which refute what peer 2 believes of them.
    Bytes longest = make_tail({});
    longest.push_back(std::byte{42});
    longest.push_back(static_cast<std::byte>(kTailMax - longest.size() - 1));
    longest.resize(kTailMax);
    std::vector<Message> rumours;
    for (std::uint8_t number = 10; number < 18; ++number) {
        auto alive = claim(number, {1, 5}, MemberState::Alive);
        alive.tail = longest;
        sign(alive);
        alone.hear(3, {alive});
        Statement suspicion = claim(number, {1, 4}, MemberState::Suspect);
        rumours.emplace_back(suspicion);
    }
    while (alone.swim.poll_transmit()) continue;
    rumours.emplace_back(Ping{1, peer(1)});
    Statement of_us = claim(1, alone.swim.incarnation(), MemberState::Suspect);
    rumours.emplace_back(of_us);
    alone.hear(2, rumours);
    const auto reply = alone.swim.poll_transmit();
    ASSERT_TRUE(reply.has_value());
    EXPECT_FALSE(reply->receiver.has_value());
    EXPECT_LE(reply->bytes.size() + alone.swim.introduction().size(), kPacketMax);
}

TEST(Introduction, OfALargeSwarmThatAgreesEndsWhenItsNewsHasSpread) {
    Prober prober;
    std::vector<Message> others;
    MemberTable theirs(std::make_shared<ClaimPool>());
    theirs.apply({}, claim(1, prober.swim.incarnation(), MemberState::Alive));
    theirs.apply({}, claim(2, {1, 0}, MemberState::Alive));
    for (std::uint8_t number = 3; number < 25; ++number) {
        const auto alive = claim(number, {1, 0}, MemberState::Alive);
        theirs.apply({}, alive);
        prober.hear(number, {alive});
    }
    while (prober.swim.poll_transmit()) continue;
    const auto ack_to = [&](std::uint8_t number) {
        prober.hear(number, {Ping{9, peer(1)}, TableDigest{theirs.digest()}});
        auto ack = prober.swim.poll_transmit();
        EXPECT_TRUE(ack.has_value());
        while (prober.swim.poll_transmit()) continue;
        return ack->receiver.has_value();
    };
    EXPECT_TRUE(ack_to(3)) << "its table is ours";
    // The agreement that was heard last counts; nobody has had the time to hear of us before.
    const auto gossip = [&] {
        prober.hear(3, {Ping{10, peer(1)}, TableDigest{theirs.digest()}});
        while (prober.swim.poll_transmit()) continue;
        prober.hear(5, {PingRequest{11, peer(6)}});
        std::optional<Datagram> relayed;
        while (auto datagram = prober.swim.poll_transmit()) {
            if (datagram->to == address_of(6)) relayed = std::move(*datagram);
        }
        EXPECT_TRUE(relayed.has_value());
        return relayed->receiver.has_value();
    };
    EXPECT_FALSE(gossip());
    prober.now += 4s;
    EXPECT_TRUE(gossip());
}

}  // namespace
}  // namespace starling::membership
