// Goal: a partner that resets, stops reading, or reads a byte at a time costs one exchange. The
// exchange ends with a reason, the bytes that wait for the partner stay bounded, and the store
// keeps only what was validated. Method: the streams, driver and store of a real peer on loopback,
// against a raw socket that misbehaves; the test waits for outcomes, never for times.

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gossip/codec.hpp"
#include "peer/averaging/gossip_driver.hpp"
#include "peer/streams/links.hpp"
#include "tests/support/introductions.hpp"

namespace starling::peer {
namespace {

constexpr std::size_t kChunk = compute::kChunkElements;

/// Both sides send frames unsealed, so that the test can cut them at each byte.
const Introduction& introduction_of(std::uint8_t number) {
    static const auto made = [] {
        std::array<Introduction, 3> peers;
        for (auto& peer : peers) {
            peer = new_introduction(1);
            peer.plain = true;
        }
        return peers;
    }();
    return made.at(number);
}

PeerId id_of(std::uint8_t number) {
    return introduction_of(number).ours.id;
}

compute::ParameterLayout layout_of(std::size_t chunks) {
    compute::ParameterInfo info;
    info.name = "weights";
    info.shape = {static_cast<std::int64_t>(chunks * kChunk)};
    return compute::ParameterLayout({info});
}

Bytes framed(FrameType type, const Bytes& payload) {
    const auto head = encode_frame_header({static_cast<std::uint32_t>(payload.size()), type});
    Bytes frame(head.size() + payload.size());
    std::copy(payload.begin(), payload.end(), std::copy(head.begin(), head.end(), frame.begin()));
    return frame;
}

/// The peer under test: all that an exchange needs, without a trainer.
class Honest final : public LinkHandler, public FrameReceiver {
public:
    Honest(Loop& loop, std::size_t chunks)
        : store(layout_of(chunks)),
          links(loop, *this),
          gossip(
              loop,
              config(),
              id_of(2),
              LayoutHash{},
              store,
              Rng(1),
              {[this](gossip::Outgoing outgoing) {
                   const PeerId to = outgoing.to;
                   send_exchange(links, std::move(outgoing));
                   queued = std::max(queued, links.queued_bytes(to));
               },
               [this](const gossip::ExchangeEvent& event) { events.push_back(event); }}
          ) {
        links.route(FrameType::Exchange, *this);
        const auto bound = links.bind(Endpoint::v4(0x7f000001, 0));
        EXPECT_TRUE(bound.has_value());
        address = *bound;
        links.open(introduction_of(2));
        gossip.peer_up(id_of(1));
    }

    /// Sets deadlines of a fifth of a second; no test depends on their length.
    static gossip::AveragerConfig config() {
        gossip::AveragerConfig config;
        config.window_bytes = std::size_t{1} << 20U;
        config.deadline_base = std::chrono::milliseconds(200);
        config.initial_rate = 1e9;
        return config;
    }

    void handle_frame(const PeerId& from, FrameType, ByteView payload) override {
        gossip.handle_frame(from, payload);
    }

    void on_sent(FrameType, Bytes payload) override { gossip.recycle(std::move(payload)); }

    void on_broken(const PeerId& partner, const Fault& fault) override {
        why = fault.message;
        gossip.handle_broken(partner);
    }

    void on_lane_broken(const PeerId& partner, Lanes lanes, const Fault&) override {
        gossip.handle_lane_broken(partner, lanes);
    }

    void on_descriptor_wanted(Connection&, std::size_t) override {}

    std::optional<Endpoint> address_of(const PeerId&) override { return std::nullopt; }

    bool untouched() {
        std::vector<float> values(store.layout().elements());
        store.read_all(values);
        return std::all_of(values.begin(), values.end(), [](float v) { return v == 0.0F; });
    }

    compute::ParameterStore store;
    Links links;
    GossipDriver gossip;
    Endpoint address;
    std::vector<gossip::ExchangeEvent> events;
    std::string why;
    std::size_t queued = 0;
};

/// A socket that sends what the test gives it and reads as much as the test allows.
class Hostile {
public:
    explicit Hostile(const Endpoint& to) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(to.port);
        EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        ::fcntl(fd_, F_SETFL, O_NONBLOCK);
        const auto& ours = introduction_of(1);
        say(framed(
            FrameType::Hello, encode_hello(ours.ours, {ChannelRole::Dialler, {}}, *ours.notary)
        ));
    }

    ~Hostile() { reset(); }

    Hostile(const Hostile&) = delete;
    Hostile& operator=(const Hostile&) = delete;

    void say(const Bytes& bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

    void say(const gossip::Message& message) {
        say(framed(FrameType::Exchange, gossip::encode(message)));
    }

    /// Writes what the socket takes, and reads up to `limit` bytes.
    void step(std::size_t limit) {
        if (fd_ < 0) return;
        if (!out_.empty()) {
            const auto n = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
            if (n > 0) out_.erase(out_.begin(), out_.begin() + n);
        }
        Bytes room(limit);
        const auto n = limit > 0 ? ::recv(fd_, room.data(), room.size(), 0) : 0;
        if (n > 0) in_.insert(in_.end(), room.begin(), room.begin() + n);
    }

    [[nodiscard]] bool said_all() const { return out_.empty(); }

    /// Returns the next message of an exchange that has come whole.
    std::optional<gossip::Message> next() {
        while (in_.size() >= kFrameHeaderSize) {
            const auto header = decode_frame_header(ByteView(in_).first(kFrameHeaderSize));
            if (!header || in_.size() < kFrameHeaderSize + header->length) return std::nullopt;
            const auto end = static_cast<std::ptrdiff_t>(kFrameHeaderSize + header->length);
            Bytes body(in_.begin() + kFrameHeaderSize, in_.begin() + end);
            in_.erase(in_.begin(), in_.begin() + end);
            if (header->type != FrameType::Exchange) continue;
            auto message = gossip::decode(body);
            return message ? std::optional(*message) : std::nullopt;
        }
        return std::nullopt;
    }

    /// Closes with RST, so that everything on its way is lost on both sides.
    void reset() {
        if (fd_ < 0) return;
        const linger hard{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        ::close(fd_);
        fd_ = -1;
    }

private:
    int fd_;
    Bytes out_;
    Bytes in_;
};

gossip::Open open_of(std::uint64_t id, std::size_t chunks) {
    gossip::Open open;
    open.id = ExchangeId{id};
    open.chunk_count = static_cast<std::uint32_t>(chunks);
    return open;
}

Bytes chunk_of(std::uint64_t id, std::uint32_t index) {
    Bytes frame(gossip::kPayloadOffset + kChunk * sizeof(float));
    const float one = 1.0F;
    for (std::size_t at = gossip::kPayloadOffset; at < frame.size(); at += sizeof(one)) {
        std::memcpy(frame.data() + at, &one, sizeof(one));
    }
    const gossip::Chunk header{ExchangeId{id}, index, kChunk, 0, {}};
    gossip::write_payload_header(header, std::span(frame).first<gossip::kPayloadOffset>());
    return framed(FrameType::Exchange, frame);
}

class BadPartnerTest : public testing::Test {
protected:
    /// Runs both sides until `done`; the partner reads up to `limit` bytes a millisecond. Returns
    /// false after twenty seconds.
    bool run(Hostile& hostile, std::size_t limit, const std::function<bool()>& done) {
        bool late = false;
        Timer deadline(loop_, [&late] { late = true; });
        deadline.arm_after(std::chrono::seconds(20));
        Timer* again = nullptr;
        Timer tick(loop_, [&] {
            hostile.step(limit);
            again->arm_after(std::chrono::milliseconds(1));
        });
        again = &tick;
        tick.arm_after(Duration::zero());
        loop_.run_until([&] { return done() || late; });
        return !late;
    }

    Loop loop_;
};

constexpr std::size_t kAll = std::size_t{1} << 20U;

TEST_F(BadPartnerTest, ResetAtAnyByteOfAChunkLeavesTheStoreAsItWas) {
    Honest honest(loop_, 2);
    const Bytes frame = chunk_of(1, 0);
    std::vector<std::size_t> cuts{frame.size() / 2, frame.size() - 4, frame.size() - 1};
    for (std::size_t i = 0; i < 40; ++i) cuts.push_back(i);
    std::uint64_t id = 100;
    for (const std::size_t cut : cuts) {
        SCOPED_TRACE(cut);
        Hostile hostile(honest.address);
        hostile.say(open_of(++id, 2));
        std::optional<gossip::Message> accepted;
        ASSERT_TRUE(run(hostile, kAll, [&] { return (accepted = hostile.next()).has_value(); }));
        ASSERT_TRUE(std::holds_alternative<gossip::Accept>(*accepted));
        const Bytes whole = chunk_of(id, 0);
        hostile.say(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)));
        ASSERT_TRUE(run(hostile, kAll, [&] { return hostile.said_all(); }));
        hostile.reset();
        const auto ended = [&] { return honest.links.connection_count() == 0; };
        ASSERT_TRUE(run(hostile, 0, ended));
        EXPECT_FALSE(honest.gossip.averager().responding());
        EXPECT_EQ(honest.events.back().outcome, gossip::Outcome::Disconnected);
        EXPECT_TRUE(honest.untouched());
    }
    EXPECT_EQ(honest.gossip.averager().counters().aborted, cuts.size());
}

class StallingPartnerTest : public BadPartnerTest,
                            public testing::WithParamInterface<std::size_t> {};

TEST_P(StallingPartnerTest, EndsByTheDeadline) {
    Honest honest(loop_, 32);
    Hostile hostile(honest.address);
    std::optional<gossip::Message> asked;
    // `honest` knows the stream when the greeting is answered; before that it has nobody to ask.
    hostile.say(gossip::Commit{ExchangeId{1}});
    const auto greeted = [&] { return honest.gossip.averager().counters().stale == 1; };
    ASSERT_TRUE(run(hostile, kAll, greeted));
    honest.gossip.peer_up(id_of(1));
    ASSERT_TRUE(honest.gossip.begin_exchange());
    ASSERT_TRUE(run(hostile, kAll, [&] { return (asked = hostile.next()).has_value(); }));
    ASSERT_TRUE(std::holds_alternative<gossip::Open>(*asked));
    const auto id = std::get<gossip::Open>(*asked).id;
    hostile.say(gossip::Accept{id, gossip::Encoding::F32, 0.0});
    ASSERT_TRUE(run(hostile, GetParam(), [&] { return !honest.events.empty(); }));
    EXPECT_EQ(honest.events.back().outcome, gossip::Outcome::TimedOut);
    EXPECT_EQ(honest.events.back().misdeed, gossip::Misdeed::Stall);
    EXPECT_LE(honest.queued, Honest::config().window_bytes + 4096);
    EXPECT_TRUE(honest.untouched());
}

INSTANTIATE_TEST_SUITE_P(BytesRead, StallingPartnerTest, testing::Values(0U, 1U));

TEST_F(BadPartnerTest, PartnerThatSendsOnWithoutReadingIsCutOffAtABound) {
    constexpr std::size_t kChunks = 160;  // 40 MiB: more than we queue and the kernel takes
    Honest honest(loop_, kChunks);
    Hostile hostile(honest.address);
    hostile.say(open_of(1, kChunks));
    for (std::uint32_t i = 0; i < kChunks; ++i) hostile.say(chunk_of(1, i));
    ASSERT_TRUE(run(hostile, 0, [&] { return !honest.events.empty(); }));
    EXPECT_NE(honest.events.back().outcome, gossip::Outcome::Committed);
    EXPECT_FALSE(honest.gossip.averager().responding());
    EXPECT_LE(honest.queued, kSendQueueMax + kPayloadMax + 1024);
    // Everything that the partner made us add is in the ledger.
    const auto& event = honest.events.back();
    EXPECT_EQ(event.chunks_half_applied, event.chunks_applied);
}

}  // namespace
}  // namespace starling::peer
