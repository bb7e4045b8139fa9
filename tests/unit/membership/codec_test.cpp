// Goal: every message survives the wire, the wire does not drift, and no bytes of a stranger do
// harm. Method: round trips, golden bytes, every truncation, seeded mutations of valid packets.

#include "membership/codec.hpp"

#include <gtest/gtest.h>
#include <string>

#include "samples.hpp"

namespace starling::membership {
namespace {

constexpr std::uint64_t kTag = 0x1122334455667788;

Packet sample_packet(bool with_probes) {
    Packet packet{peer(1), {}};
    if (with_probes) {
        packet.messages.emplace_back(Ping{0x0102030405060708, peer(2)});
        packet.messages.emplace_back(PingRequest{42, peer(3)});
        packet.messages.emplace_back(Ack{7});
        packet.messages.emplace_back(Nack{8});
        packet.messages.emplace_back(TableDigest{0x1112131415161718});
    }
    for (const auto state :
         {MemberState::Alive, MemberState::Suspect, MemberState::Failed, MemberState::Left}) {
        packet.messages.emplace_back(claim(4, {3, 9}, state));
    }
    packet.messages.emplace_back(Forgotten{peer(5), {1, 2}});
    packet.messages.emplace_back(ProgressRecord{peer(6), 2, 8, Bytes(20, std::byte{0xab})});
    packet.messages.emplace_back(ProgressRecord{peer(7), 2, 8, {}});
    return packet;
}

std::string hex(ByteView bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const auto byte : bytes) {
        text.push_back(kDigits[std::to_integer<unsigned>(byte) >> 4U]);
        text.push_back(kDigits[std::to_integer<unsigned>(byte) & 15U]);
    }
    return text;
}

TEST(Codec, EveryMessageSurvivesTheWireAtItsAnnouncedSize) {
    const Packet packet = sample_packet(true);
    const Bytes bytes = encode(packet, kTag, kDatagramMax);
    std::size_t size = kPacketOverhead;
    for (const auto& message : packet.messages) size += wire_size(message);
    EXPECT_EQ(bytes.size(), size);
    const auto back = decode_datagram(bytes, kTag);
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(*back, packet);
}

TEST(Codec, GoldenBytesOfOneDatagramDoNotDrift) {
    PeerId sender;
    sender.bytes.fill(0xaa);
    PeerId target;
    target.bytes.fill(0xbb);
    const Packet packet{sender, {Ping{0x0102030405060708, target}, Ack{5}}};
    const std::string aa(64, 'a');
    const std::string bb(64, 'b');
    EXPECT_EQ(
        hex(encode(packet, kTag, kDatagramMax)),
        "10"                // version 1.0
        "01"                // little-endian
        "8877665544332211"  // swarm tag
            + aa +
            "0200"  // two messages
            "012800"
            "0807060504030201" +  // ping, 40 bytes, probe id
            bb +
            "030800"
            "0500000000000000"  // ack, 8 bytes
    );
}

TEST(Codec, GoldenBytesOfAClaimDoNotDrift) {
    Statement statement = claim(1, {2, 3}, MemberState::Suspect);
    statement.subject.bytes.fill(0xaa);
    statement.accuser.bytes.fill(0xbb);
    PeerId sender;
    const Bytes bytes = encode({sender, {statement}}, kTag, kDatagramMax);
    EXPECT_EQ(
        hex(ByteView(bytes).subspan(kPacketOverhead)),
        "056200" + std::string(64, 'a') + "0200000000000000" + "0300000000000000" +
            "00000000000000000000ffff0a000001" + "581b" + std::string(64, 'b')
    );
}

TEST(Codec, EveryTruncationIsRefused) {
    const Bytes bytes = encode(sample_packet(true), kTag, kDatagramMax);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        const auto result = decode_datagram(ByteView(bytes).first(length), kTag);
        ASSERT_FALSE(result.has_value()) << "cut at " << length;
    }
}

TEST(Codec, WrongTagVersionByteOrderSizeAndTailAreTold) {
    const Bytes good = encode(sample_packet(true), kTag, kDatagramMax);
    EXPECT_EQ(decode_datagram(good, kTag + 1).error().code, FaultCode::SwarmMismatch);
    Bytes bytes = good;
    bytes[0] = std::byte{0x20};
    EXPECT_EQ(decode_datagram(bytes, kTag).error().code, FaultCode::BadVersion);
    bytes = good;
    bytes[1] = std::byte{0};
    EXPECT_EQ(decode_datagram(bytes, kTag).error().code, FaultCode::BadFormat);
    bytes = good;
    bytes.push_back(std::byte{0});
    EXPECT_EQ(decode_datagram(bytes, kTag).error().code, FaultCode::BadFormat);
    EXPECT_EQ(decode_datagram(Bytes(kDatagramMax + 1), kTag).error().code, FaultCode::Oversized);
    EXPECT_EQ(decode_page(Bytes(kPageMax + 1), kTag).error().code, FaultCode::Oversized);
}

TEST(Codec, ACountAboveTheBytesLeftIsRefusedBeforeAnyMessage) {
    Bytes bytes = encode({peer(1), {Ack{1}}}, kTag, kDatagramMax);
    bytes[kPacketOverhead - 2] = std::byte{0xff};
    bytes[kPacketOverhead - 1] = std::byte{0xff};
    EXPECT_EQ(decode_datagram(bytes, kTag).error().code, FaultCode::Truncated);
}

TEST(Codec, PagesCarryNewsButNoProbes) {
    const Packet news = sample_packet(false);
    const auto page = decode_page(encode(news, kTag, kPageMax), kTag);
    ASSERT_TRUE(page.has_value());
    EXPECT_EQ(*page, news);
    const Bytes probes = encode(sample_packet(true), kTag, kPageMax);
    EXPECT_EQ(decode_page(probes, kTag).error().code, FaultCode::BadFormat);
}

TEST(Codec, RecordsAboveTheirLimitAndCountersOutOfRangeAreRefused) {
    const ProgressRecord large{peer(1), 1, 1, Bytes(kRecordMax + 1)};
    const Bytes bytes = encode({peer(1), {large}}, kTag, kDatagramMax);
    EXPECT_EQ(decode_datagram(bytes, kTag).error().code, FaultCode::BadFormat);
    const Statement wild = claim(1, {1, kCounterMax}, MemberState::Alive);
    const Bytes wilder = encode({peer(1), {wild}}, kTag, kDatagramMax);
    EXPECT_EQ(decode_datagram(wilder, kTag).error().code, FaultCode::BadFormat);
}

TEST(Codec, AnUnknownKindIsSkippedFromANewerMinorVersionOnly) {
    Bytes bytes = encode({peer(1), {Ack{1}, Ack{2}}}, kTag, kDatagramMax);
    bytes[kPacketOverhead] = std::byte{99};
    EXPECT_EQ(decode_datagram(bytes, kTag).error().code, FaultCode::BadFormat);
    bytes[0] = std::byte{0x11};
    const auto packet = decode_datagram(bytes, kTag);
    ASSERT_TRUE(packet.has_value());
    EXPECT_EQ(packet->messages, std::vector<Message>{Ack{2}});
}

TEST(Codec, RandomMutationsNeverCrashAndWhatParsesEncodesAgain) {
    constexpr std::uint64_t kSeed = 0x5EED;
    SCOPED_TRACE("seed " + std::to_string(kSeed));
    Rng rng(kSeed);
    const Bytes good = encode(sample_packet(true), kTag, kDatagramMax);
    std::size_t parsed = 0;
    for (int round = 0; round < 100'000; ++round) {
        Bytes bytes = good;
        const auto changes = 1 + rng.below(4);
        for (std::uint64_t i = 0; i < changes; ++i) {
            bytes[rng.below(bytes.size())] = static_cast<std::byte>(rng.below(256));
        }
        if (rng.chance(0.2)) bytes.resize(rng.below(bytes.size() + 1));
        const auto packet = decode_datagram(bytes, kTag);
        if (!packet) continue;
        ++parsed;
        ASSERT_TRUE(decode_datagram(encode(*packet, kTag, kDatagramMax), kTag).has_value());
    }
    EXPECT_GT(parsed, 0U);
    for (int round = 0; round < 10'000; ++round) {
        Bytes noise(rng.below(kDatagramMax + 1));
        for (auto& byte : noise) byte = static_cast<std::byte>(rng.below(256));
        ASSERT_FALSE(decode_datagram(noise, kTag).has_value());
        ASSERT_FALSE(decode_page(noise, kTag).has_value());
    }
}

}  // namespace
}  // namespace starling::membership
