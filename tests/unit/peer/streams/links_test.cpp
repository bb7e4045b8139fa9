// Goal: streams carry frames between real sockets, and strangers get nothing. Method: one loop
// drives two Links on loopback, beside raw sockets that misbehave; every wait has a deadline.

#include "peer/streams/links.hpp"

#include <gtest/gtest.h>

#include "tests/unit/peer/streams/links_fixture.hpp"

namespace starling::peer {
namespace {

TEST_F(LinksTest, AFrameWhoseHandlingThrowsClosesItsStreamAndNoOther) {
    End a(loop_, 9);
    End b(loop_, 9);
    End c(loop_, 9);
    a.book[b.id] = b.address;
    c.book[b.id] = b.address;
    c.links->send(b.id, FrameType::Exchange, Bytes(1));
    ASSERT_TRUE(run_until([&] { return b.received.size() == 1; }));
    b.throws = true;
    a.links->send(b.id, FrameType::Exchange, Bytes(1));
    ASSERT_TRUE(run_until([&] { return !a.broken.empty() && !b.broken.empty(); }));
    EXPECT_EQ(a.broken, std::vector<PeerId>{b.id});
    EXPECT_EQ(b.broken, std::vector<PeerId>{a.id}) << "told once";
    b.throws = false;
    c.links->send(b.id, FrameType::Exchange, Bytes(2));
    a.links->send(b.id, FrameType::Exchange, Bytes(3));
    EXPECT_TRUE(run_until([&] { return b.received.size() == 3; })) << "both streams carry frames";
    EXPECT_TRUE(c.broken.empty());
}

TEST_F(LinksTest, FramesArriveInOrderOverOneStreamDialledOnDemand) {
    End a(loop_, 9);
    End b(loop_, 9);
    a.book[b.id] = b.address;
    for (std::uint8_t i = 0; i < 50; ++i) {
        a.links->send(b.id, FrameType::Exchange, Bytes(1000U * i, std::byte{i}));
    }
    ASSERT_TRUE(run_until([&] { return b.received.size() == 50; }));
    for (std::uint8_t i = 0; i < 50; ++i) {
        EXPECT_EQ(b.received[i].from, a.id);
        EXPECT_EQ(b.received[i].payload, Bytes(1000U * i, std::byte{i}));
    }
    b.links->send(a.id, FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return a.received.size() == 1; }));
    EXPECT_EQ(a.links->counters().dialled + b.links->counters().dialled, 1U);
}

TEST_F(LinksTest, AFrameThatNobodyHasRegisteredForIsCountedAndTheStreamGoesOn) {
    End a(loop_, 9);
    End b(loop_, 9);
    a.book[b.id] = b.address;
    a.links->send(b.id, FrameType::DescriptorPiece, Bytes(10));
    a.links->send(b.id, FrameType::Exchange, Bytes(1));
    ASSERT_TRUE(run_until([&] { return b.received.size() == 1; }));
    EXPECT_EQ(b.received.front().type, FrameType::Exchange);
    EXPECT_EQ(b.links->counters().garbage, 1U);
    EXPECT_TRUE(a.broken.empty());
}

TEST_F(LinksTest, PeersThatDialEachOtherAtOnceBothGetTheirFrames) {
    End a(loop_, 9);
    End b(loop_, 9);
    a.book[b.id] = b.address;
    b.book[a.id] = a.address;
    a.links->send(b.id, FrameType::StateInfoRequest, {});
    b.links->send(a.id, FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return !a.received.empty() && !b.received.empty(); }));
}

TEST_F(LinksTest, ANewProcessOfAPartnerTakesTheStreamsOfItsEarlierOne) {
    End a(loop_, 9, 100);
    End before(loop_, 9, 200);
    End after(loop_, before.copy(201));
    before.book[a.id] = a.address;
    after.book[a.id] = a.address;
    before.links->send(a.id, FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return a.received.size() == 1; }));
    after.links->send(a.id, FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return a.received.size() == 2; }));
    EXPECT_EQ(a.broken, std::vector<PeerId>{after.id}) << "what was under way is lost";
    // The stream of the earlier process still looked alive; what is sent now reaches the later one.
    a.links->send(after.id, FrameType::Exchange, Bytes(3));
    ASSERT_TRUE(run_until([&] { return after.received.size() == 1; }));
    ASSERT_TRUE(run_until([&] { return before.broken.size() == 1; }));
    EXPECT_TRUE(before.received.empty());
    EXPECT_EQ(a.links->connection_count(), 1U);
}

TEST_F(LinksTest, TwoStreamsOfOneProcessBothStay) {
    End a(loop_, 9, 100);
    End b(loop_, 9, 200);
    std::vector<PeerId> greeted;
    for (int i = 0; i < 2; ++i) {
        b.links->introduce(a.address, [&](Result<PeerId> who) { greeted.push_back(*who); });
    }
    ASSERT_TRUE(run_until([&] { return greeted.size() == 2; }));
    b.links->send(a.id, FrameType::Exchange, Bytes(1));
    ASSERT_TRUE(run_until([&] { return a.received.size() == 1; }));
    EXPECT_EQ(a.links->connection_count(), 2U);
    EXPECT_TRUE(a.broken.empty());
}

TEST_F(LinksTest, AStreamToOurselvesIsRefusedButNotOneToAnotherProcessWithOurIdentity) {
    End a(loop_, 9, 100);
    End copy(loop_, a.copy(101));
    std::optional<Result<PeerId>> itself;
    std::optional<Result<PeerId>> other;
    a.links->introduce(a.address, [&](Result<PeerId> who) { itself = std::move(who); });
    a.links->introduce(copy.address, [&](Result<PeerId> who) { other = std::move(who); });
    ASSERT_TRUE(run_until([&] { return itself.has_value() && other.has_value(); }));
    EXPECT_TRUE(itself->has_error());
    EXPECT_TRUE(other->has_value());
}

TEST_F(LinksTest, AnUnreachablePartnerIsReported) {
    End a(loop_, 9);
    Endpoint nobody;
    {
        End gone(loop_, 9);
        nobody = gone.address;
    }
    a.book[peer_id(3)] = nobody;
    a.links->send(peer_id(3), FrameType::StateInfoRequest, {});
    a.links->send(peer_id(4), FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return a.broken.size() == 2; }));
    EXPECT_EQ(a.links->counters().dropped_frames, 2U);
}

TEST_F(LinksTest, AnotherOpenSwarmHasAnotherKey) {
    End a(loop_, 9);
    End b(loop_, 8);
    std::optional<Result<PeerId>> outcome;
    a.links->introduce(b.address, [&](Result<PeerId> greeted) { outcome = std::move(greeted); });
    ASSERT_TRUE(run_until([&] { return outcome.has_value() && outcome->has_error(); }));
    EXPECT_EQ(outcome->error().code, FaultCode::Refused);
    EXPECT_TRUE(run_until([&] { return b.links->counters().refused == 1; }));
    EXPECT_TRUE(b.received.empty());
}

TEST_F(LinksTest, AnotherSwarmWithTheSameKeyIsRefusedWithAReason) {
    auto ours = new_introduction(9);
    auto theirs = new_introduction(8);
    ours.keys = theirs.keys = keyed_channel({});
    End a(loop_, ours);
    End b(loop_, theirs);
    std::optional<Result<PeerId>> outcome;
    a.links->introduce(b.address, [&](Result<PeerId> greeted) { outcome = std::move(greeted); });
    ASSERT_TRUE(run_until([&] { return outcome.has_value() && outcome->has_error(); }));
    EXPECT_NE(outcome->error().message.find("swarm"), std::string::npos)
        << outcome->error().message;
}

TEST_F(LinksTest, WhoLivesAtAnAddressInsteadOfAPartnerGetsNothingOfWhatWasMeantForIt) {
    End a(loop_, 9);
    End b(loop_, 9);
    a.book[peer_id(3)] = b.address;
    a.links->send(peer_id(3), FrameType::Exchange, Bytes(5));
    ASSERT_TRUE(run_until([&] { return a.broken.size() == 1; }));
    EXPECT_EQ(a.broken.front(), peer_id(3));
    EXPECT_TRUE(b.received.empty());
}

TEST_F(LinksTest, AGuestMayAskForTheDescriptorAndForNothingElse) {
    End b(loop_, 9);
    Raw guest(loop_, b.address, new_introduction(0));
    ASSERT_TRUE(run_until([&] { return guest.greeted; }));
    guest.connection->send(FrameType::DescriptorRequest, {});
    ASSERT_TRUE(run_until([&] { return b.descriptor_requests == 1; }));
    guest.connection->send(FrameType::PushPull, {});
    ASSERT_TRUE(run_until([&] { return b.links->connection_count() == 0; }));
    EXPECT_TRUE(b.received.empty());
}

TEST_F(LinksTest, AGuestThatNamesTheSwarmIsAGuestAllTheSame) {
    End b(loop_, 9);
    auto liar = new_introduction(9);
    liar.keys = guest_channel();
    Raw guest(loop_, b.address, liar);
    ASSERT_TRUE(run_until([&] { return guest.greeted; }));
    guest.connection->send(FrameType::Exchange, Bytes(10));
    ASSERT_TRUE(run_until([&] { return b.links->connection_count() == 0; }));
    EXPECT_TRUE(b.received.empty());
}

TEST_F(LinksTest, AStreamGetsTheDescriptorOncePieceByPiece) {
    End b(loop_, 9);
    b.pieces = 20;
    Raw guest(loop_, b.address, new_introduction(0));
    ASSERT_TRUE(run_until([&] { return guest.greeted; }));
    guest.connection->send(FrameType::DescriptorRequest, {});
    ASSERT_TRUE(run_until([&] { return guest.frames.size() == 20; }));
    EXPECT_LE(b.most_queued, 2 * kPayloadMax) << "what waits does not grow with the descriptor";
    guest.connection->send(FrameType::DescriptorRequest, {});
    ASSERT_TRUE(run_until([&] { return guest.closed.has_value(); }));
    EXPECT_EQ(guest.frames.size(), 20U);
}

TEST_F(LinksTest, WhoBreaksTheProtocolThreeTimesIsBarredAndNobodyElse) {
    End b(loop_, 9);
    const auto partner = new_introduction(9, 5);
    for (std::size_t i = 0; i < Strikes::kAllowed; ++i) {
        Raw breaker(loop_, b.address, partner);
        ASSERT_TRUE(run_until([&] { return breaker.greeted; }));
        breaker.connection->send(FrameType::Hello, {});  // a second one
        ASSERT_TRUE(run_until([&] { return breaker.closed.has_value(); })) << i;
    }
    Raw again(loop_, b.address, partner);
    ASSERT_TRUE(run_until([&] { return again.closed.has_value(); }));
    EXPECT_NE(again.closed->message.find("breaches"), std::string::npos) << again.closed->message;
    Raw other(loop_, b.address, new_introduction(9));
    ASSERT_TRUE(run_until([&] { return other.greeted; }));
    other.connection->send(FrameType::Exchange, Bytes(3));
    EXPECT_TRUE(run_until([&] { return b.received.size() == 1; }));
}

TEST_F(LinksTest, StrikesFromAboveEndTheStreamsOfAPartner) {
    End b(loop_, 9);
    const auto partner = new_introduction(9);
    Raw forger(loop_, b.address, partner);
    ASSERT_TRUE(run_until([&] { return forger.greeted && b.links->connected(partner.ours.id); }));
    for (std::size_t i = 0; i + 1 < Strikes::kAllowed; ++i) b.links->strike(partner.ours.id);
    EXPECT_FALSE(forger.closed.has_value());
    b.links->strike(partner.ours.id);
    EXPECT_TRUE(run_until([&] { return forger.closed.has_value(); }));
    EXPECT_TRUE(run_until([&] { return b.broken.size() == 1; }));
}

TEST_F(LinksTest, AThirdMainStreamTakesThePlaceOfTheFirst) {
    End b(loop_, 9);
    const auto partner = new_introduction(9, 5);
    Raw first(loop_, b.address, partner);
    ASSERT_TRUE(run_until([&] { return first.greeted; }));
    Raw second(loop_, b.address, partner);
    ASSERT_TRUE(run_until([&] { return second.greeted; }));
    EXPECT_FALSE(first.closed.has_value());
    Raw third(loop_, b.address, partner);
    ASSERT_TRUE(run_until([&] { return first.closed.has_value(); }));
    EXPECT_EQ(b.broken, std::vector<PeerId>{partner.ours.id}) << "what was on its way is lost";
    third.connection->send(FrameType::Exchange, Bytes(3));
    EXPECT_TRUE(run_until([&] { return b.received.size() == 1; }));
    EXPECT_EQ(b.links->connection_count(), 2U);
}

TEST_F(LinksTest, AFrameOfHalfAMegabyteIsNotReadBeforeTheGreeting) {
    End b(loop_, 9);
    auto early = new_introduction(9);
    early.keys = guest_channel();
    Raw guest(loop_, b.address, early);
    ASSERT_TRUE(run_until([&] { return guest.greeted; }));
    guest.connection->send(FrameType::Exchange, Bytes(2 * kPayloadMax));
    ASSERT_TRUE(run_until([&] { return guest.closed.has_value(); }));
    EXPECT_LT(b.links->counters().bytes_received, 4096U);
}

TEST_F(LinksTest, GarbageIsCountedAndNeverAnswered) {
    End b(loop_, 9);
    const std::string garbage = "GET / HTTP/1.1\r\nHost: starling\r\n\r\n and more of the same";
    const int fd = raw_socket(b.address);
    ASSERT_EQ(::send(fd, garbage.data(), garbage.size(), 0), static_cast<ssize_t>(garbage.size()));
    ASSERT_TRUE(run_until([&] { return b.links->counters().garbage == 1; }));
    EXPECT_LE(poll_socket(fd), 0) << "a stranger got bytes from us";
    ::close(fd);
}

TEST_F(LinksTest, AnOversizedLengthClosesTheStreamBeforeAnyAllocation) {
    End b(loop_, 9);
    const int fd = raw_socket(b.address);
    const auto head = encode_frame_header({0x7fffffff, FrameType::Hello, kFrameVersion});
    ASSERT_EQ(::send(fd, head.data(), head.size(), 0), static_cast<ssize_t>(head.size()));
    ASSERT_TRUE(run_until([&] { return b.links->counters().garbage == 1; }));
    EXPECT_LE(poll_socket(fd), 0);
    ::close(fd);
}

TEST_F(LinksTest, ABrokenStreamIsReportedToTheOtherSide) {
    End a(loop_, 9);
    auto b = std::make_unique<End>(loop_, 9);
    a.book[b->id] = b->address;
    a.links->send(b->id, FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return b->received.size() == 1; }));
    b->links->close_all("leaving");
    ASSERT_TRUE(run_until([&] { return a.broken.size() == 1; }));
    EXPECT_EQ(a.broken.front(), b->id);
    ASSERT_TRUE(run_until([&] { return b->links->connection_count() == 0; }));
}

TEST_F(LinksTest, APortInUseIsAClearError) {
    End a(loop_, 9);
    Links other(loop_, a);
    const auto bound = other.bind(a.address);
    ASSERT_TRUE(bound.has_error());
    EXPECT_EQ(bound.error().code, FaultCode::AddressInUse);
    EXPECT_NE(bound.error().message.find(a.address.to_string()), std::string::npos);
}

}  // namespace
}  // namespace starling::peer
