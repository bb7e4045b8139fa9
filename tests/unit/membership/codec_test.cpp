// Goal: every message survives the wire, the wire does not drift, and no bytes of a stranger do
// harm. Method: round trips, golden bytes, every truncation, seeded mutations of valid packets.

#include "membership/codec.hpp"

#include <gtest/gtest.h>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/membership/support/samples.hpp"

namespace starling::membership {
namespace {

constexpr std::uint32_t kTag = 0x11223344;

/// A salt and a value of a type that this release does not know.
Bytes sample_tail() {
    BootSalt salt{};
    salt.fill(0x5a);
    Bytes tail = make_tail(salt);
    for (const int byte : {99, 2, 7, 8}) tail.push_back(static_cast<std::byte>(byte));
    return tail;
}

Statement claim_with_tail(Bytes tail) {
    Statement alive = claim(4, {3, 9}, MemberState::Alive);
    alive.tail = std::move(tail);
    sign(alive);
    return alive;
}

Packet sample_packet(bool with_probes) {
    Packet packet{peer(1), {}};
    if (with_probes) {
        packet.messages.emplace_back(Ping{0x0102030405060708, peer(2)});
        packet.messages.emplace_back(PingRequest{42, peer(3)});
        packet.messages.emplace_back(Ack{7});
        packet.messages.emplace_back(Nack{8});
        packet.messages.emplace_back(TableDigest{0x1112131415161718});
        packet.messages.emplace_back(Stranger{peer(9)});
    }
    for (const auto state :
         {MemberState::Alive, MemberState::Suspect, MemberState::Failed, MemberState::Left}) {
        packet.messages.emplace_back(claim(4, {3, 9}, state));
    }
    packet.messages.emplace_back(claim_with_tail(sample_tail()));
    packet.messages.emplace_back(Forgotten{peer(5), {1, 2}});
    packet.messages.emplace_back(ProgressRecord{peer(6), 2, 8, Bytes(20, std::byte{0xab})});
    packet.messages.emplace_back(ProgressRecord{peer(7), 2, 8, {}});
    packet.messages.emplace_back(record_of(8, 2, 8, Bytes(20, std::byte{0xab})));
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
    const Bytes bytes = encode(packet, kTag, kPacketMax);
    std::size_t size = kPacketOverhead;
    for (const auto& message : packet.messages) size += wire_size(message);
    EXPECT_EQ(bytes.size(), size);
    const auto back = parse_datagram(bytes, kTag);
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(*back, packet);
}

TEST(Codec, GoldenBytesOfOneDatagramDoNotDrift) {
    PeerId sender;
    sender.bytes.fill(0xaa);
    sender.bytes[0] = 0x01;
    PeerId target;
    target.bytes.fill(0xbb);
    const Packet packet{sender, {Ping{0x0102030405060708, target}, Ack{5}, Stranger{sender}}};
    const std::string bb(64, 'b');
    EXPECT_EQ(
        hex(encode(packet, kTag, kPacketMax)),
        "30"                // version 3.0
        "44332211"          // swarm tag
        "01aaaaaaaaaaaaaa"  // sender
        "012800"
        "0807060504030201" +  // ping, 40 bytes, probe id
            bb +
            "030800"
            "0500000000000000"  // ack, 8 bytes
            "0c0800"
            "01aaaaaaaaaaaaaa"  // stranger, 8 bytes
    );
}

TEST(Codec, GoldenBytesOfStatementsDoNotDrift) {
    Statement suspect = claim(1, {2, 3}, MemberState::Suspect);
    suspect.subject.bytes.fill(0xaa);
    suspect.accuser.bytes.fill(0xbb);
    Statement alive = claim(1, {2, 3}, MemberState::Alive);
    alive.key.fill(0xcc);
    alive.signature.fill(0xdd);
    alive.tail.clear();
    const std::string incarnation = "02000000000000000300000000000000";
    const Bytes bytes = encode({peer(1), {suspect, alive}}, kTag, kPacketMax);
    EXPECT_EQ(
        hex(ByteView(bytes).subspan(kPacketOverhead)),
        "055000" + std::string(64, 'a') + incarnation + std::string(64, 'b') +  //
            "048300" + std::string(64, 'c') + incarnation + "00000000000000000000ffff0a000001" +
            "581b" + "00" + std::string(128, 'd')
    );
    alive.tail = sample_tail();
    const Bytes longer = encode({peer(1), {alive}}, kTag, kPacketMax);
    const std::string salt = "0110" + std::string("5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a");
    EXPECT_EQ(
        hex(ByteView(longer).subspan(kPacketOverhead)),
        "049900" + std::string(64, 'c') + incarnation + "00000000000000000000ffff0a000001" +
            "581b" + "16" + salt + "63020708" + std::string(128, 'd')
    );
}

TEST(Codec, GoldenBytesOfTheOtherKindsDoNotDrift) {
    PeerId id;
    id.bytes.fill(0xaa);
    Statement failed = claim(1, {2, 3}, MemberState::Failed);
    failed.subject.bytes.fill(0xaa);
    failed.accuser.bytes.fill(0xbb);
    Statement left = claim(1, {2, 3}, MemberState::Left);
    left.key.fill(0xcc);
    left.signature.fill(0xdd);
    left.tail.clear();
    const Bytes record{std::byte{0xee}, std::byte{0xef}};
    ProgressRecord signed_record = record_of(1, 2, 3, record);
    signed_record.key.fill(0xcc);
    signed_record.salt.fill(0xbb);
    signed_record.signature.fill(0xdd);
    const std::vector<std::pair<Message, std::string>> golden = {
        {PingRequest{5, id}, "0228000500000000000000" + std::string(64, 'a')},
        {Nack{5}, "0a08000500000000000000"},
        {TableDigest{0x0102030405060708}, "0b08000807060504030201"},
        {failed,
         "065000" + std::string(64, 'a') + "02000000000000000300000000000000" +
             std::string(64, 'b')},
        {left,
         "078300" + std::string(64, 'c') + "02000000000000000300000000000000" +
             "00000000000000000000ffff0a000001581b" + "00" + std::string(128, 'd')},
        {Forgotten{id, {2, 3}},
         "093000" + std::string(64, 'a') + "02000000000000000300000000000000"},
        {ProgressRecord{id, 2, 3, record},
         "083200" + std::string(64, 'a') + "02000000000000000300000000000000eeef"},
        {signed_record,
         "0e8200" + std::string(64, 'c') + "02000000000000000300000000000000" +
             std::string(32, 'b') + std::string(128, 'd') + "eeef"},
    };
    for (const auto& [message, bytes] : golden) {
        const Bytes packet = encode({peer(1), {message}}, kTag, kPacketMax);
        EXPECT_EQ(hex(ByteView(packet).subspan(kPacketOverhead)), bytes);
    }
}

SliceDigests sample_slices() {
    SliceDigests digests{true, std::vector<std::uint64_t>(kSlices)};
    for (std::size_t i = 0; i < kSlices; ++i) digests.values[i] = i;
    return digests;
}

TEST(Codec, GoldenBytesOfSlicesDoNotDrift) {
    std::string values;
    for (unsigned i = 0; i < kSlices; ++i) {
        const auto byte = static_cast<std::byte>(i);
        values += hex({&byte, 1}) + std::string(14, '0');
    }
    const Bytes page = encode({peer(1), {sample_slices()}}, kTag, kPageMax);
    EXPECT_EQ(hex(ByteView(page).subspan(kPacketOverhead)), "0d010201" + values);
}

TEST(Codec, SlicesAreWholeAndInPagesOnly) {
    const Packet packet{peer(1), {sample_slices()}};
    const Bytes bytes = encode(packet, kTag, kPageMax);
    const auto page = parse_page(bytes, kTag);
    ASSERT_TRUE(page.has_value()) << page.error().message;
    EXPECT_EQ(*page, packet);
    EXPECT_EQ(parse_datagram(bytes, kTag).error().code, FaultCode::BadFormat);
    Bytes strange = bytes;
    strange[kPacketOverhead + 3] = std::byte{2};
    EXPECT_EQ(parse_page(strange, kTag).error().code, FaultCode::BadFormat);
    Bytes cut(bytes.begin(), bytes.end() - 8);
    cut[kPacketOverhead + 1] = std::byte{0xf9};
    cut[kPacketOverhead + 2] = std::byte{0x01};
    EXPECT_EQ(parse_page(cut, kTag).error().code, FaultCode::BadFormat);
}

TEST(Codec, WhatIsSignedNamesItsPurposeTheSwarmAndEverythingSaid) {
    Statement alive = claim(1, {2, 3}, MemberState::Alive);
    alive.tail.clear();
    const std::string swarm(64, '7');
    EXPECT_EQ(
        hex(signed_text(alive, sample_swarm())),
        hex(as_byte_view("starling membership claim")) + swarm +
            "01000000000000000000000000000000" + "00000000000000000000000000000001" + "00" +
            "02000000000000000300000000000000" + "00000000000000000000ffff0a000001" + "581b" + "00"
    );
    EXPECT_EQ(
        hex(signed_text(claim_with_tail(sample_tail()), sample_swarm())).substr(2 * 124),
        "16" + hex(sample_tail())
    ) << "a tail that anybody could change says nothing";
}

TEST(Codec, ATailHoldsWhatItKnowsOnceAndPassesOnTheRest) {
    BootSalt salt{};
    salt.fill(0x5a);
    EXPECT_EQ(salt_of(sample_tail()), salt);
    EXPECT_EQ(salt_of({}), std::nullopt);
    const auto taken = [](const Bytes& tail) {
        const Bytes bytes = encode({peer(1), {claim_with_tail(tail)}}, kTag, kPacketMax);
        return parse_datagram(bytes, kTag).has_value();
    };
    EXPECT_TRUE(taken({}));
    EXPECT_TRUE(taken(sample_tail()));
    Bytes full = make_tail(salt);
    full.push_back(std::byte{42});
    full.push_back(static_cast<std::byte>(kTailMax - full.size() - 1));
    full.resize(kTailMax);
    EXPECT_TRUE(taken(full));
    Bytes twice = make_tail(salt);
    const Bytes again = twice;
    twice.insert(twice.end(), again.begin(), again.end());
    EXPECT_FALSE(taken(twice));
    Bytes cut = sample_tail();
    cut.pop_back();
    EXPECT_FALSE(taken(cut));
    EXPECT_FALSE(taken({std::byte{1}, std::byte{2}, std::byte{0}, std::byte{0}})) << "a short salt";
    EXPECT_FALSE(taken({std::byte{42}})) << "no length";
    EXPECT_FALSE(is_tail(Bytes(kTailMax + 2)));
}

TEST(Codec, AClaimAloneIsReadFromTheFrontOfBytes) {
    Bytes bytes;
    ByteWriter writer(bytes);
    const auto alive = claim_with_tail(sample_tail());
    write_claim(writer, alive);
    bytes.push_back(std::byte{0xee});
    ByteView rest(bytes);
    const auto back = take_claim(rest, SampleNotary({}));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(*back, alive);
    EXPECT_EQ(rest.size(), 1U);
    for (std::size_t length = 0; length + 1 < bytes.size(); ++length) {
        ByteView cut = ByteView(bytes).first(length);
        ASSERT_FALSE(take_claim(cut, SampleNotary({})).has_value()) << length;
    }
    bytes[0] = std::byte{8};
    ByteView record(bytes);
    EXPECT_FALSE(take_claim(record, SampleNotary({})).has_value());
}

TEST(Codec, EveryTruncationInsideAMessageIsRefused) {
    const Packet packet = sample_packet(true);
    const Bytes bytes = encode(packet, kTag, kPacketMax);
    std::set<std::size_t> ends{kPacketOverhead};
    for (const auto& message : packet.messages) ends.insert(*ends.rbegin() + wire_size(message));
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        const auto result = parse_datagram(ByteView(bytes).first(length), kTag);
        ASSERT_EQ(result.has_value(), ends.contains(length)) << "cut at " << length;
    }
}

TEST(Codec, WrongTagVersionSizeAndTailAreTold) {
    const Bytes good = encode(sample_packet(true), kTag, kPacketMax);
    EXPECT_EQ(parse_datagram(good, kTag + 1).error().code, FaultCode::SwarmMismatch);
    Bytes bytes = good;
    bytes[0] = std::byte{0x21};
    EXPECT_EQ(parse_datagram(bytes, kTag).error().code, FaultCode::BadVersion);
    bytes = good;
    bytes.push_back(std::byte{0});
    EXPECT_EQ(parse_datagram(bytes, kTag).error().code, FaultCode::Truncated);
    EXPECT_EQ(parse_datagram(Bytes(kPacketMax + 1), kTag).error().code, FaultCode::Oversized);
    EXPECT_EQ(parse_page(Bytes(kPageMax + 1), kTag).error().code, FaultCode::Oversized);
}

TEST(Codec, ALengthAboveTheBytesLeftIsRefusedBeforeItsMessage) {
    Bytes bytes = encode({peer(1), {ProgressRecord{peer(2), 1, 1, {}}}}, kTag, kPacketMax);
    bytes[kPacketOverhead + 1] = std::byte{0xff};
    bytes[kPacketOverhead + 2] = std::byte{0xff};
    EXPECT_EQ(parse_datagram(bytes, kTag).error().code, FaultCode::Truncated);
}

TEST(Codec, PagesCarryNewsButNoProbes) {
    const Packet news = sample_packet(false);
    const auto page = parse_page(encode(news, kTag, kPageMax), kTag);
    ASSERT_TRUE(page.has_value());
    EXPECT_EQ(*page, news);
    const Bytes probes = encode(sample_packet(true), kTag, kPageMax);
    EXPECT_EQ(parse_page(probes, kTag).error().code, FaultCode::BadFormat);
}

TEST(Codec, RecordsAboveTheirLimitAndCountersOutOfRangeAreRefused) {
    const ProgressRecord large{peer(1), 1, 1, Bytes(kRecordMax + 1)};
    const Bytes bytes = encode({peer(1), {large}}, kTag, kPacketMax);
    EXPECT_EQ(parse_datagram(bytes, kTag).error().code, FaultCode::BadFormat);
    const Statement wild = claim(1, {1, kCounterMax}, MemberState::Alive);
    const Bytes wilder = encode({peer(1), {wild}}, kTag, kPacketMax);
    EXPECT_EQ(parse_datagram(wilder, kTag).error().code, FaultCode::BadFormat);
}

TEST(Codec, AnUnknownKindIsSkippedFromANewerMinorVersionOnly) {
    Bytes bytes = encode({peer(1), {Ack{1}, Ack{2}}}, kTag, kPacketMax);
    bytes[kPacketOverhead] = std::byte{99};
    EXPECT_EQ(parse_datagram(bytes, kTag).error().code, FaultCode::BadFormat);
    bytes[0] = std::byte{kWireVersion + 1};
    const auto packet = parse_datagram(bytes, kTag);
    ASSERT_TRUE(packet.has_value());
    EXPECT_EQ(packet->messages, std::vector<Message>{Ack{2}});
}

TEST(Codec, RandomMutationsNeverCrashAndWhatParsesEncodesAgain) {
    constexpr std::uint64_t kSeed = 0x5EED;
    SCOPED_TRACE("seed " + std::to_string(kSeed));
    Rng rng(kSeed);
    const Bytes good = encode(sample_packet(true), kTag, kPacketMax);
    std::size_t parsed = 0;
    for (int round = 0; round < 100'000; ++round) {
        Bytes bytes = good;
        const auto changes = 1 + rng.below(4);
        for (std::uint64_t i = 0; i < changes; ++i) {
            bytes[rng.below(bytes.size())] = static_cast<std::byte>(rng.below(256));
        }
        if (rng.chance(0.2)) bytes.resize(rng.below(bytes.size() + 1));
        const auto packet = parse_datagram(bytes, kTag);
        if (!packet) continue;
        ++parsed;
        ASSERT_TRUE(parse_datagram(encode(*packet, kTag, kPacketMax), kTag).has_value());
    }
    EXPECT_GT(parsed, 0U);
    for (int round = 0; round < 10'000; ++round) {
        Bytes noise(rng.below(kPacketMax + 1));
        for (auto& byte : noise) byte = static_cast<std::byte>(rng.below(256));
        ASSERT_FALSE(parse_datagram(noise, kTag).has_value());
        ASSERT_FALSE(parse_page(noise, kTag).has_value());
    }
}

}  // namespace
}  // namespace starling::membership
