// Goal: streams carry frames between real sockets, and strangers get nothing. Method: one loop
// drives two Links on loopback, beside raw sockets that misbehave; every wait has a deadline.

#include "peer/streams/links.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <netinet/in.h>
#include <new>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "peer/machine/loop.hpp"

namespace starling::peer {
namespace {

PeerId peer_id(std::uint8_t n) {
    PeerId id;
    id.bytes[0] = n;
    return id;
}

SwarmId swarm_id(std::uint8_t n) {
    SwarmId id;
    id.bytes[0] = n;
    return id;
}

struct Received {
    PeerId from;
    FrameType type;
    Bytes payload;
};

/// One peer's streams, and a record of what has come.
class End final : public LinkHandler, public FrameReceiver {
public:
    /// `process` tells apart two with one id.
    /// Without a swarm it only accepts early.
    End(Loop& loop, std::uint8_t n, std::uint8_t swarm, std::uint64_t process = 0)
        : id(peer_id(n)) {
        links = std::make_unique<Links>(loop, *this);
        links->route(FrameType::Exchange, *this);
        links->route(FrameType::StateInfoRequest, *this);
        const auto bound = links->bind(Endpoint::v4(0x7f000001, 0));
        EXPECT_TRUE(bound.has_value());
        address = *bound;
        Hello hello;
        hello.id = id;
        hello.swarm = swarm_id(swarm);
        hello.address = address;
        hello.process = process;
        if (swarm == 0) {
            links->open_early(hello);
        } else {
            links->open(hello, {});
        }
    }

    void handle_frame(const PeerId& from, FrameType type, ByteView payload) override {
        if (throws) throw std::bad_alloc();
        received.push_back({from, type, Bytes(payload.begin(), payload.end())});
    }

    void on_sent(FrameType, Bytes) override {}

    void on_broken(const PeerId& partner, const Fault&) override { broken.push_back(partner); }

    void on_lane_broken(const PeerId&, Lanes lanes, const Fault&) override {
        broken_lanes.push_back(lanes);
    }

    void on_descriptor_wanted(Connection&) override { ++descriptor_requests; }

    std::optional<Endpoint> address_of(const PeerId& partner) override {
        const auto found = book.find(partner);
        if (found == book.end()) return std::nullopt;
        return found->second;
    }

    PeerId id;
    Endpoint address;
    std::map<PeerId, Endpoint> book;
    std::vector<Received> received;
    std::vector<PeerId> broken;
    std::vector<Lanes> broken_lanes;
    int descriptor_requests = 0;
    bool throws = false;  ///< frames find no memory
    std::unique_ptr<Links> links;
};

class LinksTest : public ::testing::Test {
protected:
    /// Runs the loop until `done` is true. Returns false after ten seconds.
    bool run_until(const std::function<bool()>& done) {
        bool late = false;
        Timer deadline(loop_, [&late] { late = true; });
        deadline.arm_after(std::chrono::seconds(10));
        loop_.run_until([&] { return done() || late; });
        return !late;
    }

    /// Returns a plain non-blocking socket that is connected to a peer.
    static int raw_socket(const Endpoint& to) {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(to.port);
        EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        ::fcntl(fd, F_SETFL, O_NONBLOCK);
        return fd;
    }

    /// Returns how many bytes have come, -1 while none have, or 0 when the other side has closed.
    static ssize_t poll_socket(int fd) {
        char buffer[256];
        return ::recv(fd, buffer, sizeof(buffer), 0);
    }

    Loop loop_;
};

TEST_F(LinksTest, AFrameWhoseHandlingThrowsClosesItsStreamAndNoOther) {
    End a(loop_, 1, 9);
    End b(loop_, 2, 9);
    End c(loop_, 3, 9);
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
    End a(loop_, 1, 9);
    End b(loop_, 2, 9);
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
    End a(loop_, 1, 9);
    End b(loop_, 2, 9);
    a.book[b.id] = b.address;
    a.links->send(b.id, FrameType::DescriptorPiece, Bytes(10));
    a.links->send(b.id, FrameType::Exchange, Bytes(1));
    ASSERT_TRUE(run_until([&] { return b.received.size() == 1; }));
    EXPECT_EQ(b.received.front().type, FrameType::Exchange);
    EXPECT_EQ(b.links->counters().garbage, 1U);
    EXPECT_TRUE(a.broken.empty());
}

TEST_F(LinksTest, PeersThatDialEachOtherAtOnceBothGetTheirFrames) {
    End a(loop_, 1, 9);
    End b(loop_, 2, 9);
    a.book[b.id] = b.address;
    b.book[a.id] = a.address;
    a.links->send(b.id, FrameType::StateInfoRequest, {});
    b.links->send(a.id, FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return !a.received.empty() && !b.received.empty(); }));
}

TEST_F(LinksTest, ANewProcessOfAPartnerTakesTheStreamsOfItsEarlierOne) {
    End a(loop_, 1, 9, 100);
    End before(loop_, 2, 9, 200);
    End after(loop_, 2, 9, 201);
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
    End a(loop_, 1, 9, 100);
    End b(loop_, 2, 9, 200);
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
    End a(loop_, 1, 9, 100);
    End copy(loop_, 1, 9, 101);
    std::optional<Result<PeerId>> itself;
    std::optional<Result<PeerId>> other;
    a.links->introduce(a.address, [&](Result<PeerId> who) { itself = std::move(who); });
    a.links->introduce(copy.address, [&](Result<PeerId> who) { other = std::move(who); });
    ASSERT_TRUE(run_until([&] { return itself.has_value() && other.has_value(); }));
    EXPECT_TRUE(itself->has_error());
    EXPECT_TRUE(other->has_value());
}

TEST_F(LinksTest, AnUnreachablePartnerIsReported) {
    End a(loop_, 1, 9);
    Endpoint nobody;
    {
        End gone(loop_, 3, 9);
        nobody = gone.address;
    }
    a.book[peer_id(3)] = nobody;
    a.links->send(peer_id(3), FrameType::StateInfoRequest, {});
    a.links->send(peer_id(4), FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return a.broken.size() == 2; }));
    EXPECT_EQ(a.links->counters().dropped_frames, 2U);
}

TEST_F(LinksTest, AnotherSwarmIsRefusedWithAReason) {
    End a(loop_, 1, 9);
    End b(loop_, 2, 8);
    std::optional<Result<PeerId>> outcome;
    a.links->introduce(b.address, [&](Result<PeerId> greeted) { outcome = std::move(greeted); });
    ASSERT_TRUE(run_until([&] { return outcome.has_value() && outcome->has_error(); }));
    EXPECT_NE(outcome->error().message.find("swarm"), std::string::npos)
        << outcome->error().message;
    EXPECT_TRUE(b.received.empty());
}

TEST_F(LinksTest, WhoDoesNotKnowTheSwarmMayOnlyAskForTheDescriptor) {
    End b(loop_, 2, 9);
    const int fd = raw_socket(b.address);
    Hello hello;
    hello.id = peer_id(5);
    const Bytes body = encode_hello(hello);
    const auto head = encode_frame_header(
        {static_cast<std::uint32_t>(body.size()), FrameType::Hello, kFrameVersion}
    );
    ASSERT_EQ(::send(fd, head.data(), head.size(), 0), static_cast<ssize_t>(head.size()));
    ASSERT_EQ(::send(fd, body.data(), body.size(), 0), static_cast<ssize_t>(body.size()));
    const auto ask = encode_frame_header({0, FrameType::DescriptorRequest, kFrameVersion});
    ASSERT_EQ(::send(fd, ask.data(), ask.size(), 0), static_cast<ssize_t>(ask.size()));
    ASSERT_TRUE(run_until([&] { return b.descriptor_requests == 1; }));
    const auto push = encode_frame_header({0, FrameType::PushPull, kFrameVersion});
    ASSERT_EQ(::send(fd, push.data(), push.size(), 0), static_cast<ssize_t>(push.size()));
    ASSERT_TRUE(run_until([&] { return b.links->connection_count() == 0; }));
    EXPECT_TRUE(b.received.empty());
    ::close(fd);
}

TEST_F(LinksTest, GarbageIsCountedAndNeverAnswered) {
    End b(loop_, 2, 9);
    const std::string garbage = "GET / HTTP/1.1\r\nHost: starling\r\n\r\n and more of the same";
    const int fd = raw_socket(b.address);
    ASSERT_EQ(::send(fd, garbage.data(), garbage.size(), 0), static_cast<ssize_t>(garbage.size()));
    ASSERT_TRUE(run_until([&] { return b.links->counters().garbage == 1; }));
    EXPECT_LE(poll_socket(fd), 0) << "a stranger got bytes from us";
    ::close(fd);
}

TEST_F(LinksTest, AnOversizedLengthClosesTheStreamBeforeAnyAllocation) {
    End b(loop_, 2, 9);
    const int fd = raw_socket(b.address);
    const auto head = encode_frame_header({0x7fffffff, FrameType::Hello, kFrameVersion});
    ASSERT_EQ(::send(fd, head.data(), head.size(), 0), static_cast<ssize_t>(head.size()));
    ASSERT_TRUE(run_until([&] { return b.links->counters().garbage == 1; }));
    EXPECT_LE(poll_socket(fd), 0);
    ::close(fd);
}

TEST_F(LinksTest, ABrokenStreamIsReportedToTheOtherSide) {
    End a(loop_, 1, 9);
    auto b = std::make_unique<End>(loop_, 2, 9);
    a.book[b->id] = b->address;
    a.links->send(b->id, FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return b->received.size() == 1; }));
    b->links->close_all("leaving");
    ASSERT_TRUE(run_until([&] { return a.broken.size() == 1; }));
    EXPECT_EQ(a.broken.front(), b->id);
    ASSERT_TRUE(run_until([&] { return b->links->connection_count() == 0; }));
}

/// Begins when `a_` has dialled three lanes to `b_`.
class LanesTest : public LinksTest {
protected:
    static constexpr std::size_t kPayload = 100'000;

    void SetUp() override {
        a_.book[b_.id] = b_.address;
        a_.links->fix_lanes(3);
        offer();
        ASSERT_TRUE(run_until([&] { return !b_.received.empty(); }));
        // The first frame has opened the main stream. More than it holds makes `a_` dial lanes.
        for (std::size_t i = 0; i < kLaneBytes / kPayload + 10; ++i) offer();
        ASSERT_TRUE(run_until([&] {
            return a_.links->lane_count(b_.id, Lanes::Ours) == 3 &&
                   b_.links->lane_count(a_.id, Lanes::Theirs) == 3;
        }));
    }

    void offer() {
        a_.links->send_on_lanes(b_.id, FrameType::Exchange, Bytes(kPayload), Lanes::Ours);
        ++offered_;
    }

    /// Returns a raw socket that has greeted `to` as `id` without a proof, which this swarm does
    /// not ask for.
    int greet(const Endpoint& to, const PeerId& id, StreamKind kind) {
        const int fd = raw_socket(to);
        Hello hello;
        hello.id = id;
        hello.swarm = swarm_id(9);
        hello.kind = kind;
        const Bytes body = encode_hello(hello);
        put(fd, FrameType::Hello, body);
        return fd;
    }

    static void put(int fd, FrameType type, const Bytes& body) {
        const auto header =
            encode_frame_header({static_cast<std::uint32_t>(body.size()), type, kFrameVersion});
        EXPECT_EQ(::send(fd, header.data(), header.size(), 0), ssize_t{kFrameHeaderSize});
        EXPECT_EQ(::send(fd, body.data(), body.size(), 0), static_cast<ssize_t>(body.size()));
    }

    End a_{loop_, 1, 9};
    End b_{loop_, 2, 9};
    std::size_t offered_ = 0;
};

TEST_F(LanesTest, OffersSpreadAndAllArrive) {
    for (int i = 0; i < 100; ++i) offer();
    ASSERT_TRUE(run_until([&] { return b_.received.size() == offered_; }));
    EXPECT_EQ(a_.links->counters().dialled, 4U);
    EXPECT_EQ(b_.links->counters().dialled, 0U);
    for (const auto& frame : b_.received) EXPECT_EQ(frame.payload.size(), kPayload);
}

TEST_F(LanesTest, TheMainStreamTakesWhatItHoldsAndTheLanesTheRest) {
    ASSERT_TRUE(run_until([&] { return b_.received.size() == offered_; }));
    for (int i = 0; i < 80; ++i) offer();
    EXPECT_LT(a_.links->queued_bytes(b_.id), kLaneBytes + 2 * kPayload);
    ASSERT_TRUE(run_until([&] { return b_.received.size() == offered_; }));
}

TEST_F(LanesTest, AnswersUseTheLanesThatTheAskerDialled) {
    for (int i = 0; i < 80; ++i) {
        b_.links->send_on_lanes(a_.id, FrameType::Exchange, Bytes(kPayload), Lanes::Theirs);
    }
    EXPECT_LT(b_.links->queued_bytes(a_.id), kLaneBytes + 2 * kPayload);
    ASSERT_TRUE(run_until([&] { return a_.received.size() == 80; }));
    EXPECT_EQ(b_.links->counters().dialled, 0U);
}

TEST_F(LanesTest, TheyEndWithTheMainStream) {
    b_.links->close_all("leaving");
    ASSERT_TRUE(run_until([&] { return a_.links->connection_count() == 0; }));
    EXPECT_EQ(a_.broken, std::vector<PeerId>{b_.id});
}

TEST_F(LanesTest, MoreThanSevenFromOnePeerAreRefused) {
    std::vector<int> raw;
    for (std::size_t i = 0; i < 12; ++i) raw.push_back(greet(b_.address, a_.id, StreamKind::Lane));
    ASSERT_TRUE(run_until([&] { return b_.links->counters().refused == 12 - (kLanesMax - 3); }));
    for (const int fd : raw) ::close(fd);
    ASSERT_TRUE(run_until([&] { return b_.links->connection_count() == 4; }));
    // The lanes that were accepted broke without a goodbye, so they are reported.
    EXPECT_EQ(b_.broken_lanes, std::vector<Lanes>(kLanesMax - 3, Lanes::Theirs));
    EXPECT_TRUE(b_.broken.empty());
}

TEST_F(LanesTest, AStrangersLaneWithoutAMainStreamIsClosed) {
    const int fd = greet(b_.address, peer_id(77), StreamKind::Lane);
    ASSERT_TRUE(run_until([&] { return b_.links->connection_count() == 5; }));
    ASSERT_TRUE(run_until([&] { return b_.links->connection_count() == 4; }));
    EXPECT_TRUE(b_.broken_lanes.empty());
    ::close(fd);
}

TEST_F(LanesTest, AnythingButAnExchangeClosesALane) {
    const int fd = greet(b_.address, a_.id, StreamKind::Lane);
    ASSERT_TRUE(run_until([&] { return b_.links->lane_count(a_.id, Lanes::Theirs) == 4; }));
    put(fd, FrameType::StateInfoRequest, {});
    ASSERT_TRUE(run_until([&] { return b_.links->connection_count() == 4; }));
    EXPECT_EQ(b_.broken_lanes, std::vector<Lanes>{Lanes::Theirs});
    ASSERT_TRUE(run_until([&] { return b_.received.size() == offered_; }));
    ::close(fd);
}

TEST(LanesFor, FollowTheRoundTripOfAStreamThatIsFull) {
    // The facts of a stream that fills its buffers.
    const auto full = [](Duration round_trip) {
        return lanes_for({round_trip, 2.5 * 1024 * 1024 / to_seconds(round_trip)});
    };
    EXPECT_EQ(full(std::chrono::milliseconds(1)), 0U);
    EXPECT_EQ(full(std::chrono::milliseconds(16)), 0U);
    EXPECT_EQ(full(std::chrono::milliseconds(30)), 1U);
    EXPECT_EQ(full(std::chrono::milliseconds(100)), 5U);
    EXPECT_EQ(full(std::chrono::seconds(10)), kLanesMax);
}

TEST(LanesFor, AreNoneWhereTheLinkAndNotTheStreamIsFull) {
    EXPECT_EQ(lanes_for({}), 0U);
    EXPECT_EQ(lanes_for({std::chrono::milliseconds(100), 12.5e6}), 0U) << "100 Mbit/s";
    EXPECT_EQ(lanes_for({std::chrono::milliseconds(100), 0.0}), 0U) << "a kernel that does not say";
}

TEST_F(LinksTest, APortInUseIsAClearError) {
    End a(loop_, 1, 9);
    Links other(loop_, a);
    const auto bound = other.bind(a.address);
    ASSERT_TRUE(bound.has_error());
    EXPECT_EQ(bound.error().code, FaultCode::AddressInUse);
    EXPECT_NE(bound.error().message.find(a.address.to_string()), std::string::npos);
}

}  // namespace
}  // namespace starling::peer
