// Goal: whatever a partner does wrong ends the exchange with its name, leaves our parameters as
// they were, is counted, and counts against the partner; what is not its fault does not. Method:
// one honest machine, and frames written by hand in place of a partner's.

#include <limits>

#include "gossip/codec.hpp"
#include "tests/unit/gossip/support/rule_swarm.hpp"

namespace starling::gossip {
namespace {

constexpr std::size_t kElements = 100;

Bytes chunk_frame(const Chunk& header, const std::vector<float>& values) {
    Bytes frame(kPayloadOffset + values.size() * sizeof(float));
    write_payload_header(header, std::span(frame).first<kPayloadOffset>());
    std::memcpy(frame.data() + kPayloadOffset, values.data(), values.size() * sizeof(float));
    return frame;
}

Bytes reply_frame(const ChunkReply& header, const std::vector<float>& values) {
    Bytes frame(kPayloadOffset + values.size() * sizeof(float));
    write_payload_header(header, std::span(frame).first<kPayloadOffset>());
    std::memcpy(frame.data() + kPayloadOffset, values.data(), values.size() * sizeof(float));
    return frame;
}

/// Peer 1 is hostile: it only speaks through handle(). Peer 2 is ours.
class MisdeedTest : public testing::Test {
protected:
    MisdeedTest() { drain(); }

    Floats& ours() { return *swarm.nodes[1].vector; }

    void handle(const Bytes& frame) {
        (void)swarm.at(1).handle_frame(swarm.now, peer_id(1), frame);
        drain();
    }

    void drain() {
        while (auto out = swarm.at(1).poll_transmit()) said.push_back(std::move(out->frame));
        while (auto event = swarm.at(1).poll_event()) events.push_back(*event);
    }

    ExchangeId open() {
        Open open;
        open.id = ExchangeId{++ids};
        open.layout = layout_hash(1);
        open.chunk_count = 2;
        handle(encode(open));
        return open.id;
    }

    /// Lets ours open an exchange and accepts it; returns its id.
    ExchangeId opened(Encoding encoding = Encoding::F32) {
        swarm.now += std::chrono::seconds(20);  // past every rest
        EXPECT_TRUE(swarm.at(1).begin_exchange(swarm.now));
        drain();
        const auto id = std::get<Open>(*decode(said.back())).id;
        handle(encode(Accept{id, encoding, 0.0}));
        return id;
    }

    void expect(Misdeed misdeed) {
        ASSERT_FALSE(events.empty());
        EXPECT_EQ(events.back().outcome, Outcome::Violated);
        EXPECT_EQ(to_string(events.back().misdeed), to_string(misdeed));
        EXPECT_EQ(swarm.at(1).counters().misdeeds[static_cast<std::size_t>(misdeed)], 1U);
        for (const auto& chunk : ours().chunks) {
            for (const float value : chunk) EXPECT_EQ(value, 0.0F);
        }
    }

    Chunk chunk(ExchangeId id, std::uint32_t index = 0, std::uint32_t acked = 0) const {
        return {id, index, kElements, acked, {}};
    }

    const std::vector<float> good = std::vector<float>(kElements, 1.0F);
    FloatSwarm swarm{2, {kElements, kElements}, 1};
    std::vector<Bytes> said;
    std::vector<ExchangeEvent> events;
    std::uint64_t ids = 0;
};

TEST_F(MisdeedTest, OfferWithNanOrInfinity) {
    auto bad = good;
    bad[99] = -std::numeric_limits<float>::infinity();
    handle(chunk_frame(chunk(open()), bad));
    expect(Misdeed::Values);
}

TEST_F(MisdeedTest, ReplyWithNanOrInfinity) {
    const auto id = opened();
    auto bad = good;
    bad[0] = std::numeric_limits<float>::quiet_NaN();
    handle(reply_frame({id, 0, kElements, {}}, bad));
    expect(Misdeed::Values);
}

TEST_F(MisdeedTest, OfferBeyondTheClip) {
    // Ours is zero: the reach is ten times the norm of as many ones.
    handle(chunk_frame(chunk(open()), std::vector<float>(kElements, 10.1F)));
    expect(Misdeed::Norm);
    const auto id = open();
    handle(chunk_frame(chunk(id), std::vector<float>(kElements, 9.9F)));
    EXPECT_TRUE(swarm.at(1).responding());
    EXPECT_EQ(ours().chunks[0][0], 0.5F * 9.9F);
}

TEST_F(MisdeedTest, ReplyBeyondTheClipAlsoWhereItsSquaresOverflow) {
    for (const float size : {1e3F, 3e38F}) {
        const auto id = opened();
        handle(reply_frame({id, 1, kElements, {}}, std::vector<float>(kElements, size)));
        EXPECT_EQ(events.back().misdeed, Misdeed::Norm);
        EXPECT_EQ(ours().chunks[1][0], 0.0F);
    }
}

TEST_F(MisdeedTest, LatticeWithALyingScale) {
    auto config = config_of("pairwise", Encoding::Lattice8);
    FloatSwarm pair(2, {kElements}, 1, config);
    Rng rng(1);
    scatter(pair, rng);
    pair.nodes[1].vector->chunks[0] = pair.nodes[0].vector->chunks[0];
    isolate(pair);
    meet(pair, 0, 1);
    const auto before = pair.nodes[1].vector->chunks;
    ASSERT_TRUE(ask(pair, 0, 1));
    for (int i = 0; i < 2; ++i) pair.deliver();
    pair.drain();
    auto letter = pair.wire.front();
    // The head of the first block: hash u64, scale f32. The codes' hash holds, their size does not.
    const float scale = 1e20F;
    std::memcpy(letter.frame.data() + kPayloadOffset + 8 + 8, &scale, sizeof(scale));
    (void)pair.at(1).handle_frame(pair.now, letter.from, letter.frame);
    EXPECT_EQ(pair.nodes[1].vector->chunks, before);
    EXPECT_EQ(pair.at(1).counters().asked_again, 1U) << "decoded beside ours, the hash differs";
    const float none = -1.0F;
    std::memcpy(letter.frame.data() + kPayloadOffset + 8 + 8, &none, sizeof(none));
    (void)pair.at(1).handle_frame(pair.now, letter.from, letter.frame);
    EXPECT_EQ(pair.at(1).counters().misdeeds[static_cast<std::size_t>(Misdeed::Size)], 1U);
    EXPECT_EQ(pair.nodes[1].vector->chunks, before);
}

TEST_F(MisdeedTest, ChunkThatDoesNotExist) {
    handle(chunk_frame(chunk(open(), 2), good));
    expect(Misdeed::Size);
}

TEST_F(MisdeedTest, PayloadOfAnotherSize) {
    handle(chunk_frame(chunk(open()), std::vector<float>(kElements - 1, 1.0F)));
    expect(Misdeed::Size);
}

TEST_F(MisdeedTest, ReplyOfAnotherSize) {
    const auto id = opened();
    handle(reply_frame({id, 0, kElements, {}}, std::vector<float>(kElements + 1, 1.0F)));
    expect(Misdeed::Size);
}

TEST_F(MisdeedTest, ReplyToNothing) {
    const auto id = opened();
    const auto reply = reply_frame({id, 0, kElements, {}}, std::vector<float>(kElements, 0.0F));
    handle(reply);
    handle(reply);
    EXPECT_TRUE(events.empty()) << "a repeated one changes nothing";
    handle(reply_frame({id, 7, kElements, {}}, good));
    expect(Misdeed::Size);
}

TEST_F(MisdeedTest, CommitBeforeTheEnd) {
    handle(encode(Commit{open()}));
    expect(Misdeed::Order);
}

TEST_F(MisdeedTest, AcknowledgesWhatWasNeverSent) {
    handle(chunk_frame(chunk(open(), 0, 5), good));
    expect(Misdeed::Lie);
}

TEST_F(MisdeedTest, AnswersCoarserThanAsked) {
    (void)opened(Encoding::Lattice4);
    expect(Misdeed::Lie);
}

TEST_F(MisdeedTest, AnotherVersionOrTornFrame) {
    const auto id = open();
    auto other = encode(Commit{id});
    other[1] = std::byte{0x20};
    handle(other);
    expect(Misdeed::Malformed);
    EXPECT_EQ(swarm.at(1).counters().malformed, 1U);
}

TEST_F(MisdeedTest, AnotherLayoutIsRefusedAndCounted) {
    Open open;
    open.id = ExchangeId{1};
    open.layout = layout_hash(9);
    open.chunk_count = 2;
    handle(encode(open));
    EXPECT_EQ(std::get<Refuse>(*decode(said.back())).reason, RefuseReason::Layout);
    EXPECT_EQ(swarm.at(1).counters().refusals, 1U);
    EXPECT_FALSE(swarm.at(1).responding());
}

TEST_F(MisdeedTest, ThreeStrikesBarThePartnerForAMinute) {
    for (std::size_t i = 0; i < AveragerConfig{}.strikes; ++i) {
        const auto id = open();
        EXPECT_TRUE(swarm.at(1).responding()) << i;
        handle(encode(Commit{id}));
    }
    (void)open();
    EXPECT_EQ(std::get<Refuse>(*decode(said.back())).reason, RefuseReason::Strikes);
    swarm.now += std::chrono::seconds(59);
    EXPECT_FALSE(swarm.at(1).begin_exchange(swarm.now)) << "nor is it asked";
    // Leaving and coming back makes nothing undone.
    swarm.at(1).peer_down(swarm.now, peer_id(1));
    swarm.at(1).peer_up(swarm.now, peer_id(1));
    EXPECT_FALSE(swarm.at(1).begin_exchange(swarm.now));
    swarm.now += std::chrono::seconds(2);
    (void)open();
    EXPECT_TRUE(swarm.at(1).responding());
}

TEST_F(MisdeedTest, GarbageOutsideAnExchangeIsAStrikeToo) {
    for (std::size_t i = 0; i < AveragerConfig{}.strikes; ++i) handle(Bytes(3));
    (void)open();
    EXPECT_EQ(std::get<Refuse>(*decode(said.back())).reason, RefuseReason::Strikes);
}

TEST_F(MisdeedTest, OurOwnNanIsNoStrike) {
    ours().chunks[0][3] = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t i = 0; i < 2 * AveragerConfig{}.strikes; ++i) {
        const auto id = open();
        ASSERT_TRUE(swarm.at(1).responding()) << i;
        handle(chunk_frame(chunk(id), good));
        EXPECT_EQ(events.back().misdeed, Misdeed::Own);
    }
}

TEST_F(MisdeedTest, BlameByThePartnerIsNoStrike) {
    for (std::size_t i = 0; i < 2 * AveragerConfig{}.strikes; ++i) {
        const auto id = open();
        ASSERT_TRUE(swarm.at(1).responding()) << i;
        handle(encode(Abort{id, AbortReason::Violated, 0}));
        EXPECT_EQ(events.back().misdeed, Misdeed::None);
    }
}

TEST_F(MisdeedTest, SilenceIsCountedAndIsNoStrike) {
    for (std::size_t i = 0; i < 2 * AveragerConfig{}.strikes; ++i) {
        (void)open();
        ASSERT_TRUE(swarm.at(1).responding()) << i;
        swarm.now += std::chrono::seconds(3600);
        swarm.at(1).handle_timeout(swarm.now);
        drain();
        EXPECT_EQ(events.back().misdeed, Misdeed::Stall);
    }
    EXPECT_EQ(
        swarm.at(1).counters().misdeeds[static_cast<std::size_t>(Misdeed::Stall)],
        2 * AveragerConfig{}.strikes
    );
}

}  // namespace
}  // namespace starling::gossip
