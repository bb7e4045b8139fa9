// Goal: a session opens between two sides with one key and with nobody else, and carries bytes as they
// were. Method: two channels in memory, and everything that can stand between them.

#include "peer/crypto/channel.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

namespace starling::peer {
namespace {

SwarmKey key(std::uint8_t n) {
    SwarmKey made;
    made.bytes.fill(n);
    return made;
}

SwarmId swarm(std::uint8_t n) {
    SwarmId made;
    made.bytes.fill(n);
    return made;
}

/// Gives a channel some bytes, `at_once` at a time.
Result<void> give(Channel& to, ByteView bytes, std::size_t at_once = 1 << 20) {
    while (!bytes.empty()) {
        const auto room = to.room();
        const auto size = std::min({bytes.size(), room.size(), at_once});
        std::copy_n(bytes.begin(), size, room.begin());
        if (auto ok = to.filled(size); ok.has_error()) return ok;
        bytes = bytes.subspan(size);
        // An open channel wants to be read before its room is used again.
        if (to.open()) break;
    }
    return {};
}

struct Pair {
    explicit Pair(const ChannelKeys& both) : Pair(both, both) {}

    Pair(const ChannelKeys& a, const ChannelKeys& b)
        : dialler(ChannelRole::Dialler, a),
          acceptor(ChannelRole::Acceptor, b) {}

    /// Carries messages to and fro until nobody has more to say.
    void shake(std::size_t at_once = 1 << 20) {
        while (!dialler.outgoing().empty() || !acceptor.outgoing().empty()) {
            pass(dialler, acceptor, of_acceptor, at_once);
            pass(acceptor, dialler, of_dialler, at_once);
        }
    }

    static void pass(Channel& from, Channel& to, Result<void>& outcome, std::size_t at_once) {
        const Bytes bytes(from.outgoing().begin(), from.outgoing().end());
        from.sent(bytes.size());
        if (outcome.has_value()) outcome = give(to, bytes, at_once);
    }

    Channel dialler;
    Channel acceptor;
    Result<void> of_dialler;
    Result<void> of_acceptor;
};

/// Returns what comes out at the other end, read into pieces of `piece` bytes.
Bytes carry(Channel& from, Channel& to, const std::vector<ByteView>& views, std::size_t piece) {
    from.seal(views);
    Bytes arrived;
    Bytes into(piece);
    while (!from.outgoing().empty()) {
        const auto room = to.room();
        const auto size = std::min(from.outgoing().size(), room.size());
        std::copy_n(from.outgoing().begin(), size, room.begin());
        from.sent(size);
        EXPECT_TRUE(to.filled(size).has_value());
        while (true) {
            const auto got = to.read(into);
            EXPECT_TRUE(got.has_value());
            if (got.has_error()) return arrived;
            arrived.insert(arrived.end(), into.begin(), into.begin() + std::ptrdiff_t(*got));
            if (*got < into.size()) break;
        }
    }
    return arrived;
}

Bytes counting(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 31 + i / 256);
    return bytes;
}

TEST(Channel, OpensBetweenTwoThatHoldTheKeyAndBothHaveOneBinding) {
    Pair pair(keyed_channel(key(1)));
    pair.shake();
    ASSERT_TRUE(pair.dialler.open() && pair.acceptor.open());
    EXPECT_EQ(pair.dialler.binding(), pair.acceptor.binding());
    EXPECT_EQ(pair.acceptor.admission(), Admission::Member);
    Pair other(keyed_channel(key(1)));
    other.shake();
    EXPECT_NE(other.dialler.binding(), pair.dialler.binding()) << "of another session";
}

TEST(Channel, OpensFromSingleBytes) {
    Pair pair(open_channel(swarm(3)));
    pair.shake(1);
    EXPECT_TRUE(pair.dialler.open() && pair.acceptor.open());
}

TEST(Channel, AnotherKeyIsRefusedInSevenBytesThatSayNothing) {
    Pair pair(keyed_channel(key(1)), keyed_channel(key(2)));
    const Bytes hello(pair.dialler.outgoing().begin(), pair.dialler.outgoing().end());
    pair.of_acceptor = give(pair.acceptor, hello);
    ASSERT_TRUE(pair.of_acceptor.has_error());
    EXPECT_EQ(pair.of_acceptor.error().code, FaultCode::Refused);
    EXPECT_EQ(pair.acceptor.outgoing().size(), 7U);
    const auto told = give(pair.dialler, pair.acceptor.outgoing());
    ASSERT_TRUE(told.has_error());
    EXPECT_EQ(told.error().code, FaultCode::Refused) << told.error().message;
    EXPECT_FALSE(pair.dialler.open() || pair.acceptor.open());
}

TEST(Channel, AGuestOpensAnOpenSwarmAsAGuestAndAKeyedOneNotAtAll) {
    Pair open(guest_channel(), open_channel(swarm(3)));
    open.shake();
    ASSERT_TRUE(open.acceptor.open());
    EXPECT_EQ(open.acceptor.admission(), Admission::Guest);
    Pair keyed(guest_channel(), keyed_channel(key(1)));
    keyed.shake();
    EXPECT_FALSE(keyed.acceptor.open() || keyed.dialler.open());
    EXPECT_EQ(keyed.of_acceptor.error().code, FaultCode::Refused);
    EXPECT_EQ(keyed.of_dialler.error().code, FaultCode::Refused);
}

TEST(Channel, MembersOfOneOpenSwarmAreNotThoseOfAnother) {
    Pair pair(open_channel(swarm(3)), open_channel(swarm(4)));
    pair.shake();
    EXPECT_FALSE(pair.dialler.open() || pair.acceptor.open());
}

TEST(Channel, CarriesBytesOfAnySizeBothWays) {
    Pair pair(keyed_channel(key(1)));
    pair.shake();
    for (const std::size_t size : {1U, 8U, 16383U, 16384U, 16385U, 100000U, 700000U}) {
        const Bytes sent = counting(size);
        EXPECT_EQ(carry(pair.dialler, pair.acceptor, {sent}, 5000), sent) << size;
        EXPECT_EQ(carry(pair.acceptor, pair.dialler, {sent}, 300000), sent) << size;
    }
}

TEST(Channel, AHeaderSharesARecordWithWhatFollowsIt) {
    Pair pair(keyed_channel(key(1)));
    pair.shake();
    const Bytes header = counting(8);
    const Bytes payload = counting(40000);
    pair.dialler.seal({header, payload, header, header});
    const std::size_t plain = 8 + 40000 + 8 + 8;
    const std::size_t records = (plain + Channel::kRecordMax - 1) / Channel::kRecordMax;
    EXPECT_EQ(pair.dialler.outgoing().size(), plain + records * Channel::kRecordOverhead);
}

TEST(Channel, ABitThatWasTurnedOnTheWayIsNoticed) {
    Pair pair(keyed_channel(key(1)));
    pair.shake();
    const Bytes sent = counting(1000);
    pair.dialler.seal({sent});
    Bytes wire(pair.dialler.outgoing().begin(), pair.dialler.outgoing().end());
    wire[700] ^= std::byte{1};
    ASSERT_TRUE(give(pair.acceptor, wire).has_value());
    Bytes into(1000);
    const auto got = pair.acceptor.read(into);
    ASSERT_TRUE(got.has_error());
    EXPECT_EQ(got.error().code, FaultCode::BadFormat);
}

TEST(Channel, ARecordThatCameBeforeIsNotTakenAgain) {
    Pair pair(keyed_channel(key(1)));
    pair.shake();
    const Bytes sent = counting(100);
    pair.dialler.seal({sent});
    const Bytes wire(pair.dialler.outgoing().begin(), pair.dialler.outgoing().end());
    Bytes into(100);
    ASSERT_TRUE(give(pair.acceptor, wire).has_value());
    EXPECT_EQ(*pair.acceptor.read(into), 100U);
    ASSERT_TRUE(give(pair.acceptor, wire).has_value());
    EXPECT_TRUE(pair.acceptor.read(into).has_error());
}

TEST(Channel, WhatIsNotTlsIsNoPeer) {
    for (const auto& text : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(300, '\0')}) {
        Channel acceptor(ChannelRole::Acceptor, keyed_channel(key(1)));
        const auto outcome = give(acceptor, as_byte_view(text));
        ASSERT_TRUE(outcome.has_error());
        EXPECT_EQ(outcome.error().code, FaultCode::BadFormat);
    }
}

TEST(Channel, AStrangersMessageDoesNotMakeTheRoomGrow) {
    Channel acceptor(ChannelRole::Acceptor, keyed_channel(key(1)));
    EXPECT_EQ(acceptor.room().size(), 4096U);
}

}  // namespace
}  // namespace starling::peer
