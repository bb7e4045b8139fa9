// Goal: a sealed datagram opens once, for a peer that has the key, and not at all when one of its
// bits differs. Method: round trips, every flipped bit, replays and reordering around the window,
// and golden bytes with a fixed key (checked against an independent AES-GCM when they were made).

#include "peer/crypto/seal.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <string>

#include "base/rng.hpp"

namespace starling::peer {
namespace {

SwarmKey key_of(std::uint8_t fill) {
    SwarmKey key;
    key.bytes.fill(fill);
    return key;
}

SwarmId swarm_of(std::uint8_t fill) {
    SwarmId swarm;
    swarm.bytes.fill(fill);
    return swarm;
}

PeerId peer_of(std::uint8_t fill) {
    PeerId id;
    id.bytes.fill(fill);
    return id;
}

/// A packet as membership writes it: version, swarm tag, sender, and `length` bytes.
Bytes packet_of(std::size_t length, std::uint8_t swarm = 7, std::uint8_t sender = 9) {
    Bytes packet{std::byte{0x20}};
    packet.insert(packet.end(), 4, std::byte{swarm});
    packet.insert(packet.end(), 8, std::byte{sender});
    for (std::size_t i = 0; i < length; ++i) packet.push_back(static_cast<std::byte>(i));
    return packet;
}

struct Pair {
    Sealer sealer{key_of(1), swarm_of(7), peer_of(9), 3};
    Opener opener{key_of(1), swarm_of(7)};

    Bytes seal(std::size_t length = 50) {
        Bytes sealed;
        EXPECT_TRUE(sealer.seal(packet_of(length), sealed));
        return sealed;
    }

    bool opens(const Bytes& sealed) { return opener.open(sealed).has_value(); }
};

std::string hex(ByteView bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const auto byte : bytes) {
        text.push_back(kDigits[std::to_integer<unsigned>(byte) >> 4U]);
        text.push_back(kDigits[std::to_integer<unsigned>(byte) & 15U]);
    }
    return text;
}

TEST(Seal, OpensToThePacketAtEveryLength) {
    Pair pair;
    const auto longest = membership::kPacketMax - packet_of(0).size();
    for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{50}, longest}) {
        const auto sealed = pair.seal(length);
        EXPECT_EQ(sealed.size(), packet_of(length).size() + membership::kSealOverhead);
        EXPECT_LE(sealed.size(), membership::kDatagramMax);
        const auto opened = pair.opener.open(sealed);
        ASSERT_TRUE(opened.has_value()) << length;
        EXPECT_TRUE(std::ranges::equal(*opened, packet_of(length)));
    }
}

TEST(Seal, HidesTheMessagesAndNeverSealsTwiceAlike) {
    Pair pair;
    const auto first = pair.seal();
    const auto second = pair.seal();
    EXPECT_NE(hex(ByteView(first).subspan(21)), hex(ByteView(second).subspan(21)));
    const auto messages = packet_of(50);
    EXPECT_EQ(hex(first).find(hex(ByteView(messages).subspan(13, 8))), std::string::npos);
}

TEST(Seal, EveryFlippedBitIsRefused) {
    Pair pair;
    const auto sealed = pair.seal();
    for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
        auto bent = sealed;
        bent[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        ASSERT_FALSE(pair.opens(bent)) << "bit " << bit;
    }
    EXPECT_TRUE(pair.opens(sealed)) << "a forgery used up the counter of the genuine one";
    for (std::size_t length = 0; length < sealed.size(); ++length) {
        ASSERT_FALSE(pair.opens(Bytes(sealed.begin(), sealed.begin() + static_cast<int>(length))));
    }
}

TEST(Seal, AnotherKeyOrSwarmOpensNothing) {
    Pair pair;
    const auto sealed = pair.seal();
    Opener other_key(key_of(2), swarm_of(7));
    EXPECT_FALSE(other_key.open(sealed).has_value());
    EXPECT_EQ(other_key.counters().rejected, 1U);
    Opener other_swarm(key_of(1), swarm_of(8));
    EXPECT_FALSE(other_swarm.open(sealed).has_value());
    EXPECT_EQ(other_swarm.counters().foreign, 1U);
}

TEST(Seal, AReplayIsRefusedAndReorderingWithinTheWindowIsNot) {
    Pair pair;
    std::vector<Bytes> sealed;
    for (std::size_t i = 0; i < 3 * kReplayWindow; ++i) sealed.push_back(pair.seal(4));
    Rng rng(1);
    // Each block is shuffled within itself, so nothing lags by more than the window.
    for (std::size_t block = 0; block < 3; ++block) {
        rng.shuffle(std::span(sealed).subspan(block * kReplayWindow, kReplayWindow));
    }
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        ASSERT_TRUE(pair.opens(sealed[i])) << i;
        ASSERT_FALSE(pair.opens(sealed[i])) << i;
    }
    for (const auto& old : sealed) ASSERT_FALSE(pair.opens(old));
    EXPECT_EQ(pair.opener.counters().replayed, 2 * sealed.size());
}

TEST(Seal, WhatLagsBehindTheWindowIsRefused) {
    Pair pair;
    const auto late = pair.seal();
    const auto just_in_time = pair.seal();
    Bytes last;
    for (std::size_t i = 0; i < kReplayWindow; ++i) last = pair.seal();
    EXPECT_TRUE(pair.opens(last));
    EXPECT_TRUE(pair.opens(just_in_time) == false || kReplayWindow > 1024);
    EXPECT_FALSE(pair.opens(late));
}

TEST(Seal, ARestartIsANewLifeAndTheOldOneIsOver) {
    Pair pair;
    const auto before = pair.seal();
    const auto unsent = pair.seal();
    EXPECT_TRUE(pair.opens(before));
    Sealer restarted(key_of(1), swarm_of(7), peer_of(9), 4);
    Bytes sealed;
    ASSERT_TRUE(restarted.seal(packet_of(5), sealed));
    EXPECT_TRUE(pair.opens(sealed));
    EXPECT_FALSE(pair.opens(unsent)) << "of an earlier life";
}

TEST(Seal, GoldenBytesWithAFixedKeyDoNotDrift) {
    Pair pair;
    const auto sealed = pair.seal(8);
    const std::string head =
        "20"
        "07070707"
        "0909090909090909"
        "0000003000000000";
    EXPECT_EQ(hex(sealed).substr(0, head.size()), head);
    EXPECT_EQ(hex(sealed).substr(head.size()), "cf2c3f5f88d7e0a682568ed45a6aae445f9115b7b9f2f7d2");
}

TEST(SwarmKeyFile, OfAnOpenSwarmFollowsFromItsId) {
    EXPECT_EQ(open_swarm_key(swarm_of(1)), open_swarm_key(swarm_of(1)));
    EXPECT_NE(open_swarm_key(swarm_of(1)), open_swarm_key(swarm_of(2)));
    EXPECT_NE(random_swarm_key(), random_swarm_key());
}

}  // namespace
}  // namespace starling::peer
