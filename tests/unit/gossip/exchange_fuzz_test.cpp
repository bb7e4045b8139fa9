// Goal: no bytes and no passing of time break the machine, whatever rule and encoding: every call
// returns, every exchange ends, nothing that is not finite reaches the parameters, memory stays
// bounded. Method: random frames, frames that are nearly right, and jumps of the clock, between
// real frames of a real partner; and the list of ways in which a partner can be bad, one by one.

#include "gossip/codec.hpp"
#include "tests/unit/gossip/support/rule_swarm.hpp"

namespace starling::gossip {
namespace {

struct Kind {
    const char* mix;
    Encoding encoding;
    std::uint32_t parts;
};

class Fuzzed : public testing::TestWithParam<Kind> {};

Bytes noise(Rng& rng) {
    Bytes frame(static_cast<std::size_t>(rng.below(120)));
    for (auto& byte : frame) byte = static_cast<std::byte>(rng.below(256));
    // Kind and version are often right, so that what lies behind them is reached.
    if (frame.size() > 4 && rng.chance(0.9)) {
        frame[0] = static_cast<std::byte>(1 + rng.below(9));
        frame[1] = std::byte{0x10};
        frame[2] = static_cast<std::byte>(rng.below(80));
        frame[3] = std::byte{0};
    }
    return frame;
}

/// A frame of the exchange that the receiver is in, with something else in it.
Bytes distorted(Bytes frame, Rng& rng) {
    for (std::uint64_t changes = 1 + rng.below(3); changes > 0 && !frame.empty(); --changes) {
        const auto at = static_cast<std::size_t>(
            rng.below(std::min<std::size_t>(frame.size(), rng.chance(0.5) ? 80 : frame.size()))
        );
        frame[at] = static_cast<std::byte>(rng.below(256));
    }
    if (rng.chance(0.1)) frame.resize(static_cast<std::size_t>(rng.below(frame.size() + 9)));
    return frame;
}

TEST_P(Fuzzed, BytesAndClockStepsNeverBreakTheMachine) {
    SCOPED_TRACE("seed 7");
    Rng rng(7);
    auto config = config_of(GetParam().mix, GetParam().encoding);
    config.parts = GetParam().parts;
    config.window_bytes = 200;
    // The noise comes in the name of honest partners.
    config.strikes = 0;
    FloatSwarm swarm(3, {33, 5, 1}, 7, config);
    scatter(swarm, rng);
    for (int turn = 0; turn < 60000; ++turn) {
        swarm.drain();
        const auto who = static_cast<std::size_t>(rng.below(3));
        const auto other = (who + 1 + static_cast<std::size_t>(rng.below(2))) % 3;
        switch (rng.below(16)) {
            case 0:
                (void)swarm.at(who).begin_exchange(swarm.now);
                break;
            case 1:
                (void)swarm.at(who).begin_round(swarm.now, rng.below(50));
                break;
            case 2:
                swarm.now += from_seconds(rng.exponential(rng.chance(0.1) ? 2.0 : 1e-3));
                for (auto& node : swarm.nodes) node.averager->handle_timeout(swarm.now);
                break;
            case 3:
                (void)swarm.at(who).handle_frame(swarm.now, swarm.nodes[other].id, noise(rng));
                break;
            case 4:
                if (rng.chance(0.05)) swarm.cut(who, other);
                break;
            case 5:
                if (rng.chance(0.02)) swarm.at(who).set_ghost(rng.chance(0.5));
                if (rng.chance(0.02)) swarm.at(who).set_settling(rng.chance(0.5));
                if (rng.chance(0.1)) swarm.nodes[who].vector->decline_reads = 2;
                if (rng.chance(0.1)) swarm.nodes[who].vector->decline_adds = 2;
                break;
            default:
                if (swarm.wire.empty()) break;
                Letter letter = std::move(swarm.wire.front());
                swarm.wire.pop_front();
                auto& receiver = *swarm.node(letter.to).averager;
                if (rng.chance(0.1)) {
                    const Bytes bad = distorted(letter.frame, rng);
                    (void)receiver.handle_frame(swarm.now, letter.from, bad);
                }
                if (rng.chance(0.98)) {
                    (void)receiver.handle_frame(swarm.now, letter.from, letter.frame);
                }
        }
        ASSERT_LT(swarm.wire.size(), 2000U) << "turn " << turn;
    }
    swarm.finish_exchanges();
    std::uint64_t committed = 0;
    for (auto& node : swarm.nodes) {
        EXPECT_FALSE(node.averager->initiating() || node.averager->responding());
        EXPECT_FALSE(node.averager->returning());
        EXPECT_GT(node.averager->counters().malformed, 100U);
        committed += node.averager->counters().committed;
        for (const auto& chunk : node.vector->chunks) {
            for (const float value : chunk) ASSERT_TRUE(std::isfinite(value));
        }
    }
    EXPECT_GT(committed, 20U) << "the noise must leave something to break";
}

INSTANTIATE_TEST_SUITE_P(
    Rules,
    Fuzzed,
    testing::Values(
        Kind{"pairwise", Encoding::F32, 1},
        Kind{"pairwise", Encoding::Lattice8, 4},
        Kind{"push-sum", Encoding::Bf16, 1},
        Kind{"push-sum", Encoding::F32, 3},
        Kind{"noloco", Encoding::Lattice4, 1},
        Kind{"noloco", Encoding::F32, 2}
    )
);

class Bad : public testing::TestWithParam<const char*> {
protected:
    FloatSwarm make() const {
        auto config = config_of(GetParam());
        config.window_bytes = 600;
        return FloatSwarm(2, {100, 100, 100, 100, 100, 100}, 3, config);
    }
};

TEST_P(Bad, ResetAtAnyFrameEndsBothSides) {
    for (int frames = 0;; ++frames) {
        SCOPED_TRACE(frames);
        auto swarm = make();
        Rng rng(1);
        scatter(swarm, rng);
        ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
        int delivered = 0;
        while (delivered < frames && swarm.deliver()) ++delivered;
        if (delivered < frames) break;
        swarm.cut(0, 1);
        swarm.finish_exchanges();
        EXPECT_FALSE(swarm.at(0).initiating());
        EXPECT_FALSE(swarm.at(1).responding());
        EXPECT_EQ(swarm.at(0).counters().half_applied_chunks, 0U);
    }
}

TEST_P(Bad, PartnerThatStopsReadingCostsOneDeadlineAndABoundedOutbox) {
    auto swarm = make();
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.deliver();
    swarm.deliver();
    // From here on nothing of what peer 1 sends is taken; its outbox is what a window allows.
    swarm.drain();
    EXPECT_LE(swarm.wire.size(), 6U);
    std::size_t bytes = 0;
    for (const auto& letter : swarm.wire) bytes += letter.frame.size();
    EXPECT_LE(bytes, 600U + 900U);
    swarm.wire.clear();
    while (swarm.advance()) swarm.wire.clear();
    EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::TimedOut);
    EXPECT_EQ(swarm.nodes[1].events.back().outcome, Outcome::TimedOut);
    EXPECT_LE(to_seconds(swarm.now - Instant{}), 4.1);
}

TEST_P(Bad, PartnerThatAnswersAByteASecondIsGivenUpAtTheWholeDeadline) {
    // One reply for each stall allowance keeps an exchange from stalling, but not for ever: the
    // whole has a deadline of its own.
    auto swarm = make();
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    while (swarm.at(0).initiating() || swarm.at(1).responding()) {
        swarm.now += std::chrono::milliseconds(1900);
        for (auto& node : swarm.nodes) node.averager->handle_timeout(swarm.now);
        if (!swarm.deliver() && !swarm.advance()) break;
        ASSERT_LT(to_seconds(swarm.now - Instant{}), 60.0);
    }
    EXPECT_EQ(swarm.nodes[0].events.back().outcome, Outcome::TimedOut);
}

TEST_P(Bad, RepeatedRequestOfAnEndedExchangeIsIgnored) {
    auto swarm = make();
    Rng rng(1);
    scatter(swarm, rng);
    ASSERT_TRUE(swarm.at(0).begin_exchange(swarm.now));
    swarm.finish_exchanges();
    const auto before = swarm.nodes[1].vector->chunks;
    const double weight = swarm.at(1).weight(0);
    const auto history = swarm.history;
    for (const auto& letter : history) swarm.hand_over(letter);
    swarm.finish_exchanges();
    EXPECT_EQ(swarm.nodes[1].vector->chunks, before);
    EXPECT_EQ(swarm.at(1).weight(0), weight);
}

TEST_P(Bad, PartsThatNobodyAgreedOnAreRefused) {
    auto swarm = make();
    for (const auto& [part, parts] : {std::pair{0U, 0U}, {1U, 1U}, {0U, 7U}, {9U, 2U}}) {
        Open open;
        open.id = ExchangeId{77 + part + 10 * parts};
        open.layout = layout_hash(1);
        open.chunk_count = 6;
        open.rule = Mix::parse(GetParam())->rule;
        open.part = part;
        open.parts = parts;
        swarm.hand_over({peer_id(1), peer_id(2), encode(open)});
        EXPECT_FALSE(swarm.at(1).responding()) << part << " of " << parts;
    }
}

INSTANTIATE_TEST_SUITE_P(Rules, Bad, testing::Values("pairwise", "push-sum", "noloco"));

}  // namespace
}  // namespace starling::gossip
