// Goal: whatever breaks, each exchange ends, and every one-sided application is in the ledger.
// Method: cut an exchange at each of its frames, repeat each frame, fall silent, lie about sizes
// and values, and feed mutated frames.

#include <limits>

#include "gossip/codec.hpp"
#include "tests/unit/gossip/support/gossip_swarm.hpp"

namespace starling::gossip {
namespace {

const std::vector<std::size_t> kSizes{5, 64, 1, 17, 8, 8};

/// Chunks whose sum over the peers has moved.
std::size_t moved_chunks(
    const IntegerSwarm& swarm, const std::vector<std::vector<std::int64_t>>& before
) {
    std::size_t moved = 0;
    for (std::size_t chunk = 0; chunk < before.size(); ++chunk) {
        if (sum_of(swarm, chunk) != before[chunk]) ++moved;
    }
    return moved;
}

AveragerConfig narrow() {
    AveragerConfig config;
    config.window_bytes = 8 * 70;
    return config;
}

std::uint64_t half_applied(IntegerSwarm& swarm) {
    EXPECT_EQ(swarm.at(0).counters().half_applied_chunks, 0U) << "only responders can have any";
    return swarm.at(1).counters().half_applied_chunks;
}

TEST(ExchangeFault, CutAtEveryFrameIsAccountedInTheLedger) {
    std::size_t moved_ever = 0;
    for (int frames = 0;; ++frames) {
        SCOPED_TRACE(testing::Message() << "cut after frame " << frames);
        IntegerSwarm swarm(2, kSizes, 1, narrow());
        Rng rng(7);
        randomize(swarm, rng);
        const auto before = sums_of(swarm);
        ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
        int delivered = 0;
        while (delivered < frames && swarm.deliver()) ++delivered;
        const bool whole = delivered < frames;
        swarm.cut(0, 1);
        swarm.finish_exchanges();
        EXPECT_FALSE(swarm.at(0).initiating());
        EXPECT_FALSE(swarm.at(1).responding());
        const auto moved = moved_chunks(swarm, before);
        EXPECT_LE(moved, half_applied(swarm));
        moved_ever += moved;
        if (whole) {
            EXPECT_EQ(half_applied(swarm), 0U);
            EXPECT_EQ(swarm.at(1).counters().committed, 1U);
            break;
        }
    }
    EXPECT_GT(moved_ever, 0U) << "the cuts never hit a reply: the test tests nothing";
}

TEST(ExchangeFault, AbortSettlesTheLedgerExactly) {
    // The initiator does not fall silent: it gives up at each point and says what it has applied.
    for (int frames = 2; frames < 12; ++frames) {
        SCOPED_TRACE(testing::Message() << "given up after frame " << frames);
        IntegerSwarm swarm(2, kSizes, 1, narrow());
        Rng rng(7);
        randomize(swarm, rng);
        const auto before = sums_of(swarm);
        ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
        for (int i = 0; i < frames; ++i) swarm.deliver();
        ASSERT_TRUE(swarm.at(0).initiating());
        swarm.at(0).peer_down(swarm.now, peer_id(2));
        swarm.finish_exchanges();
        EXPECT_EQ(moved_chunks(swarm, before), half_applied(swarm));
        EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Disconnected);
        EXPECT_EQ(swarm.nodes[1].events.back().outcome, Outcome::Disconnected);
    }
}

TEST(ExchangeFault, RepeatedFramesChangeNothing) {
    IntegerSwarm probe(2, kSizes, 1, narrow());
    Rng rng(7);
    randomize(probe, rng);
    ASSERT_TRUE(probe.at(0).begin_exchange(probe.now));
    probe.finish_exchanges();
    const auto frames = probe.history.size();
    ASSERT_GT(frames, 12U);
    for (std::size_t repeated = 0; repeated < frames; ++repeated) {
        for (std::size_t later = 0; later < frames; ++later) {
            SCOPED_TRACE(testing::Message() << "frame " << repeated << " again after " << later);
            IntegerSwarm swarm(2, kSizes, 1, narrow());
            Rng again(7);
            randomize(swarm, again);
            ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
            std::size_t delivered = 0;
            while (swarm.deliver()) {
                if (delivered++ != std::max(later, repeated)) continue;
                swarm.hand_over(swarm.history[repeated]);
            }
            EXPECT_EQ(swarm.nodes[0].vector->chunks, probe.nodes[0].vector->chunks);
            EXPECT_EQ(swarm.nodes[1].vector->chunks, probe.nodes[1].vector->chunks);
            EXPECT_EQ(swarm.at(0).counters().committed, 1U);
            EXPECT_EQ(swarm.at(1).counters().committed, 1U);
            EXPECT_FALSE(swarm.at(1).poll_timeout().has_value());
        }
    }
}

TEST(ExchangeFault, SilentPartnerEndsByDeadlineAtEveryPoint) {
    for (int frames = 0; frames < 12; ++frames) {
        SCOPED_TRACE(testing::Message() << "silent after frame " << frames);
        IntegerSwarm swarm(2, kSizes, 1, narrow());
        ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
        for (int i = 0; i < frames; ++i) swarm.deliver();
        swarm.wire.clear();
        while (swarm.advance()) swarm.wire.clear();
        EXPECT_FALSE(swarm.at(0).initiating());
        EXPECT_FALSE(swarm.at(1).responding());
        EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::TimedOut);
        EXPECT_LE(to_seconds(swarm.now - Instant{}), 4.1);
        EXPECT_FALSE(swarm.at(0).begin_exchange(swarm.now)) << "no back-off";
    }
}

TEST(ExchangeFault, OtherLayoutIsRefusedBeforeAnyPayload) {
    IntegerSwarm swarm(2, kSizes, 1);
    AveragerConfig config;
    config.encoding = Encoding::Exact64;
    swarm.nodes[1].averager = std::make_unique<Averager>(
        config, peer_id(2), layout_hash(9), *swarm.nodes[1].vector, Rng(1)
    );
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.finish_exchanges();
    ASSERT_EQ(swarm.nodes[0].events.size(), 1U);
    EXPECT_EQ(swarm.nodes[0].events[0].outcome, Outcome::Refused);
    EXPECT_EQ(swarm.at(0).counters().payload_bytes, 0U);
    EXPECT_EQ(swarm.at(1).counters().payload_bytes, 0U);
}

TEST(ExchangeFault, ValuesThatAreNotFiniteAreNeverApplied) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float inf = std::numeric_limits<float>::infinity();
    for (const float poison : {nan, inf, -inf}) {
        for (const std::size_t sick : {0U, 1U}) {
            SCOPED_TRACE(testing::Message() << poison << " at peer " << sick);
            GossipSwarm<Floats> swarm(2, {70000 / 2, 3}, 1);
            swarm.nodes[sick].vector->chunks[0][30001] = poison;
            ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
            swarm.finish_exchanges();
            for (const auto& chunk : swarm.nodes[1 - sick].vector->chunks) {
                for (const float value : chunk) ASSERT_EQ(value, 0.0F);
            }
            EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Violated);
            EXPECT_EQ(swarm.nodes[1].events.back().outcome, Outcome::Violated);
            const auto refused =
                swarm.at(0).counters().refused_values + swarm.at(1).counters().refused_values;
            EXPECT_EQ(refused, 1U);
        }
    }
}

Bytes chunk_frame(ExchangeId id, std::uint32_t index, std::uint32_t elements, std::size_t bytes) {
    Bytes frame(kPayloadOffset + bytes);
    Chunk chunk;
    chunk.id = id;
    chunk.index = index;
    chunk.elements = elements;
    write_payload_header(chunk, std::span(frame).first<kPayloadOffset>());
    return frame;
}

TEST(ExchangeFault, WrongIndexOrSizeEndsTheExchange) {
    struct Lie {
        std::uint32_t index;
        std::uint32_t elements;
        std::size_t bytes;
    };

    for (const Lie lie : {Lie{6, 5, 40}, Lie{0, 6, 48}, Lie{0, 5, 48}, Lie{0, 5, 0}}) {
        IntegerSwarm swarm(2, kSizes, 1);
        Rng rng(1);
        randomize(swarm, rng);
        const auto before = swarm.nodes[1].vector->chunks;
        Open open;
        open.id = ExchangeId{77};
        open.layout = layout_hash(1);
        open.chunk_count = static_cast<std::uint32_t>(kSizes.size());
        open.encoding = Encoding::Exact64;
        swarm.hand_over({peer_id(1), peer_id(2), encode(open)});
        ASSERT_TRUE(swarm.at(1).responding());
        const auto frame = chunk_frame(open.id, lie.index, lie.elements, lie.bytes);
        swarm.hand_over({peer_id(1), peer_id(2), frame});
        EXPECT_FALSE(swarm.at(1).responding());
        EXPECT_EQ(swarm.nodes[1].events.back().outcome, Outcome::Violated);
        EXPECT_EQ(swarm.nodes[1].vector->chunks, before);
    }
}

TEST(ExchangeFault, EarlyCommitAndLyingAcknowledgementEndTheExchange) {
    IntegerSwarm swarm(2, kSizes, 1);
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.deliver();
    const auto open = decode(swarm.history[0].frame);
    const auto id = std::get<Open>(*open).id;
    swarm.hand_over({peer_id(1), peer_id(2), encode(Commit{id})});
    EXPECT_EQ(swarm.nodes[1].events.back().outcome, Outcome::Violated);
    swarm.finish_exchanges();
    EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::Violated);
}

TEST(ExchangeFault, GivenUpRequestFreesThePartnerAtOnce) {
    IntegerSwarm swarm(2, kSizes, 1);
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.drain();
    auto open = swarm.wire.front();
    swarm.wire.clear();
    while (swarm.advance()) swarm.wire.clear();
    swarm.hand_over(open);  // late: the initiator has given up
    ASSERT_TRUE(swarm.at(1).responding());
    swarm.deliver();  // Accept
    swarm.deliver();  // Abort
    EXPECT_FALSE(swarm.at(1).responding());
}

Bytes mutated(Bytes frame, Rng& rng) {
    for (std::uint64_t changes = 1 + rng.below(3); changes > 0; --changes) {
        const auto at = static_cast<std::size_t>(rng.below(frame.size()));
        frame[at] = static_cast<std::byte>(rng.below(256));
    }
    if (rng.chance(0.2)) frame.resize(static_cast<std::size_t>(rng.below(80)));
    return frame;
}

TEST(ExchangeFault, MutatedFramesNeverBreakTheMachine) {
    // About 100,000 real frames with bytes changed, cut or appended, each in the middle of a real
    // exchange and followed by the frame it was made from.
    SCOPED_TRACE("seed 42");
    Rng rng(42);
    IntegerSwarm swarm(2, {3, 9, 1}, 42);
    for (int i = 0; i < 400000; ++i) {
        swarm.drain();
        if (swarm.wire.empty()) {
            swarm.now += std::chrono::seconds(20);
            for (auto& node : swarm.nodes) node.averager->handle_timeout(swarm.now);
            swarm.at(static_cast<std::size_t>(rng.below(2))).begin_exchange(swarm.now);
            swarm.drain();
        }
        if (swarm.wire.empty()) continue;
        Letter letter = std::move(swarm.wire.front());
        swarm.wire.pop_front();
        auto& receiver = *swarm.node(letter.to).averager;
        if (rng.chance(0.25)) {
            const Bytes bad = mutated(letter.frame, rng);
            (void)receiver.handle_frame(swarm.now, letter.from, bad);
        }
        (void)receiver.handle_frame(swarm.now, letter.from, letter.frame);
    }
    swarm.finish_exchanges();
    EXPECT_GT(swarm.at(0).counters().malformed, 1000U);
    EXPECT_GT(swarm.at(0).counters().committed + swarm.at(1).counters().committed, 100U);
    EXPECT_FALSE(swarm.at(0).initiating() || swarm.at(0).responding());
    EXPECT_FALSE(swarm.at(1).initiating() || swarm.at(1).responding());
}

TEST(ExchangeFault, SlowLinkIsGivenMoreTimeUntilOneExchangeIsThrough) {
    // A link of 60 kB/s each way, assumed to be a hundred times as fast.
    AveragerConfig config;
    config.window_bytes = 1;
    GossipSwarm<Floats> swarm(2, {65536, 65536}, 1, config);
    int attempts = 0;
    for (; swarm.at(0).counters().committed == 0 && attempts < 20; ++attempts) {
        swarm.now += std::chrono::seconds(10);
        ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
        while (swarm.drain(), !swarm.wire.empty()) {
            const auto arrival =
                swarm.now +
                from_seconds(static_cast<double>(swarm.wire.front().frame.size()) / 6e4);
            for (auto& node : swarm.nodes) {
                const auto timeout = node.averager->poll_timeout();
                if (timeout && *timeout < arrival) node.averager->handle_timeout(*timeout);
            }
            swarm.now = arrival;
            swarm.deliver();
        }
    }
    EXPECT_EQ(swarm.at(0).counters().committed, 1U);
    EXPECT_GT(attempts, 1);
}

}  // namespace
}  // namespace starling::gossip
