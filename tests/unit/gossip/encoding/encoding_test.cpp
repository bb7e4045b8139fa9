// Goal: deltas of both sides are exact negatives, and one pass gives the same as naive loops.
// Method: random chunks of many sizes, at every alignment, against a twin in double.

#include "gossip/encoding/encoding.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

#include "base/rng.hpp"
#include "gossip/encoding/f32.hpp"
#include "gossip/encoding/registry.hpp"
#include "tests/unit/gossip/support/meeting.hpp"

namespace starling::gossip {
namespace {

std::vector<float> random_floats(std::size_t count, Rng& rng) {
    std::vector<float> values(count);
    for (auto& value : values) value = static_cast<float>(rng.normal());
    return values;
}

TEST(F32Encoding, MatchesTheNaiveTwinAtEverySizeAndAlignment) {
    const auto& encoding = *find_plain_encoding(Encoding::F32);
    Rng rng(5);
    for (const std::size_t count : {1U, 3U, 7U, 8U, 1023U, 1024U, 1025U, 5000U, 65536U}) {
        SCOPED_TRACE(testing::Message() << count << " elements, seed 5");
        const auto theirs = random_floats(count, rng);
        const auto mine = random_floats(count, rng);
        std::vector<float> delta(count);
        std::vector<std::byte> shifted(count * 4 + 1);
        std::memcpy(shifted.data() + 1, theirs.data(), count * 4);
        const auto result =
            encoding.difference(ByteView(shifted).subspan(1), view(mine), 0.25, room(delta));
        double distance = 0.0;
        double norm = 0.0;
        for (std::size_t i = 0; i < count; ++i) {
            EXPECT_EQ(delta[i], 0.25F * (theirs[i] - mine[i]));
            distance += std::pow(double{theirs[i]} - double{mine[i]}, 2);
            norm += std::pow(double{mine[i]}, 2);
        }
        EXPECT_TRUE(result.finite);
        EXPECT_NEAR(result.squared_distance, distance, 1e-5 * distance);
        EXPECT_NEAR(result.squared_norm, norm, 1e-5 * norm);
    }
}

TEST(F32Encoding, BothSidesAddExactNegativesAlsoInPlace) {
    const auto& encoding = *find_plain_encoding(Encoding::F32);
    Rng rng(6);
    const auto a = random_floats(3000, rng);
    const auto b = random_floats(3000, rng);
    std::vector<float> for_a = a;
    std::vector<float> for_b = b;
    (void)encoding.difference(view(b), view(for_a), 0.3, room(for_a));
    (void)encoding.difference(view(a), view(for_b), 0.3, room(for_b));
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(for_a[i], -for_b[i]);
}

TEST(F32Encoding, NoticesEveryValueThatIsNotFinite) {
    const auto& encoding = *find_plain_encoding(Encoding::F32);
    using Limits = std::numeric_limits<float>;
    for (const std::size_t at : {0U, 1023U, 1024U, 2999U}) {
        for (const float bad : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
            const std::vector<float> good(3000, 1.0F);
            std::vector<float> poisoned = good;
            poisoned[at] = bad;
            std::vector<float> delta(3000);
            EXPECT_FALSE(encoding.difference(view(poisoned), view(good), 0.5, room(delta)).finite);
            EXPECT_FALSE(encoding.difference(view(good), view(poisoned), 0.5, room(delta)).finite);
        }
    }
    const std::vector<float> huge(4, Limits::max());
    const std::vector<float> low(4, Limits::lowest());
    std::vector<float> delta(4);
    EXPECT_FALSE(encoding.difference(view(huge), view(low), 0.5, room(delta)).finite);
    EXPECT_TRUE(encoding.difference(view(huge), view(huge), 0.5, room(delta)).finite);
}

TEST(F32Encoding, ReplyIsWhatTheInitiatorAddsOnEveryInstructionSetAndAlignment) {
    Rng rng(8);
    for (const std::size_t count : {1U, 17U, 1024U, 5000U}) {
        SCOPED_TRACE(testing::Message() << count << " elements, seed 8");
        const auto theirs = random_floats(count, rng);
        const auto mine = random_floats(count, rng);
        std::vector<std::byte> shifted(count * 4 + 1);
        std::memcpy(shifted.data() + 1, theirs.data(), count * 4);
        for (const Isa isa : {Isa::Baseline, best_isa()}) {
            const F32Encoding encoding(isa);
            // In place, as an exchange does it: the reply takes the place of what was read.
            auto frame = mine;
            std::vector<float> delta(count);
            Reply reply{room(frame)};
            const auto answered = encoding.answer(
                ByteView(shifted).subspan(1), view(frame), reply, {0.25, room(delta)}
            );
            ASSERT_EQ(reply.bytes, count * 4);
            for (std::size_t i = 0; i < count; ++i) {
                ASSERT_EQ(delta[i], 0.25F * (theirs[i] - mine[i]));
                ASSERT_EQ(frame[i], -delta[i]);
            }
            const auto settled = encoding.take_reply(view(frame), {}, {0.25, {}});
            EXPECT_TRUE(answered.finite && settled.finite);
            EXPECT_NEAR(
                settled.squared_distance,
                answered.squared_distance,
                1e-4 * answered.squared_distance
            );
        }
    }
}

TEST(F32Encoding, SettlingNoticesEveryValueThatIsNotFinite) {
    const auto& encoding = *find_encoding(Encoding::F32);
    using Limits = std::numeric_limits<float>;
    for (const std::size_t at : {0U, 1023U, 1024U, 2999U}) {
        for (const float bad : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
            std::vector<float> reply(3000, 1.0F);
            reply[at] = bad;
            EXPECT_FALSE(encoding.take_reply(view(reply), {}, {0.5, {}}).finite) << at;
        }
    }
}

float through_bf16(float value) {
    Bytes wire(2);
    const std::vector<float> raw{value};
    find_plain_encoding(Encoding::Bf16)->encode(view(raw), wire);
    std::uint16_t half = 0;
    std::memcpy(&half, wire.data(), 2);
    return std::bit_cast<float>(std::uint32_t{half} << 16U);
}

TEST(Bf16Encoding, RoundsToNearestTiesToEven) {
    EXPECT_EQ(through_bf16(1.0F), 1.0F);
    EXPECT_EQ(through_bf16(1.0F + 0x1p-8F), 1.0F) << "a tie: down to the even one";
    EXPECT_EQ(through_bf16(1.0F + 3 * 0x1p-8F), 1.0F + 4 * 0x1p-8F) << "a tie: up to the even one";
    EXPECT_EQ(through_bf16(1.0F + 0x1.002p-8F), 1.0F + 0x1p-7F);
    EXPECT_EQ(through_bf16(-0.0F), 0.0F);
    EXPECT_TRUE(std::signbit(through_bf16(-0.0F)));
    using Limits = std::numeric_limits<float>;
    EXPECT_TRUE(std::isfinite(through_bf16(Limits::max()))) << "the largest rounds down";
    EXPECT_TRUE(std::isfinite(through_bf16(Limits::lowest())));
    EXPECT_EQ(through_bf16(Limits::infinity()), Limits::infinity());
    EXPECT_EQ(through_bf16(-Limits::infinity()), -Limits::infinity());
    EXPECT_TRUE(std::isnan(through_bf16(Limits::quiet_NaN())));
    const float all_ones = std::bit_cast<float>(0xffffffffU);
    EXPECT_TRUE(std::isnan(through_bf16(all_ones))) << "rounding must not carry into the sign";
    Rng rng(12);
    for (int i = 0; i < 100000; ++i) {
        const auto value = static_cast<float>(rng.normal());
        ASSERT_LE(std::fabs(through_bf16(value) - value), std::fabs(value) * 0x1p-8F) << value;
    }
}

TEST(Bf16Encoding, DeltasAreExactNegativesOfTheDecodedDifference) {
    Rng rng(13);
    const auto& encoding = *find_encoding(Encoding::Bf16);
    for (const std::size_t count : {1U, 31U, 1024U, 4097U, 65536U}) {
        SCOPED_TRACE(testing::Message() << count << " elements, seed 13");
        const auto a = random_floats(count, rng);
        const auto b = random_floats(count, rng);
        const auto met = meet(encoding, a, b, {}, 0.375);
        for (std::size_t i = 0; i < count; ++i) {
            ASSERT_EQ(met.for_initiator[i], -met.for_responder[i]);
            ASSERT_EQ(met.for_initiator[i], 0.375F * (through_bf16(b[i]) - through_bf16(a[i])));
        }
        EXPECT_EQ(met.offer_bytes, 2 * count);
        EXPECT_TRUE(met.initiator.finite && met.responder.finite);
    }
}

TEST(Encoding, MeanIsKeptToRoundingByEachEncoding) {
    // Rounding of each addition is all that may move the sum: half a unit in the last place a side.
    for (const auto which :
         {Encoding::F32, Encoding::Bf16, Encoding::Lattice8, Encoding::Lattice4}) {
        Rng rng(14);
        const auto& encoding = *find_encoding(which);
        for (int round = 0; round < 20; ++round) {
            SCOPED_TRACE(testing::Message() << to_string(which) << " round " << round);
            auto a = random_floats(6000, rng);
            auto b = a;
            for (auto& value : b) value += static_cast<float>(0.01 * (rng.uniform() - 0.5));
            const auto before_a = a;
            const auto before_b = b;
            const auto met = meet(encoding, a, b, std::vector<float>(2, 0.005F));
            ASSERT_FALSE(met.wrapped);
            add(a, met.for_initiator);
            add(b, met.for_responder);
            for (std::size_t i = 0; i < a.size(); ++i) {
                const double before = double{before_a[i]} + double{before_b[i]};
                const double largest = std::max(
                    std::max(std::fabs(double{a[i]}), std::fabs(double{b[i]})),
                    std::fabs(double{before_a[i]})
                );
                ASSERT_NEAR(double{a[i]} + double{b[i]}, before, largest * 0x1p-23);
            }
        }
    }
}

TEST(Exact64Encoding, KeepsTheSumAndEndsWithinOne) {
    const auto& encoding = *find_plain_encoding(Encoding::Exact64);
    Rng rng(7);
    for (int round = 0; round < 2000; ++round) {
        std::vector<std::int64_t> a{static_cast<std::int64_t>(rng.next()) >> rng.below(60)};
        std::vector<std::int64_t> b{static_cast<std::int64_t>(rng.next()) >> rng.below(60)};
        a[0] /= 4;
        b[0] /= 4;
        std::vector<std::int64_t> for_a(1);
        std::vector<std::int64_t> for_b(1);
        EXPECT_TRUE(encoding.difference(view(b), view(a), 0.5, room(for_a)).finite);
        EXPECT_TRUE(encoding.difference(view(a), view(b), 0.5, room(for_b)).finite);
        EXPECT_EQ(for_a[0], -for_b[0]);
        EXPECT_LE(std::abs((a[0] + for_a[0]) - (b[0] + for_b[0])), 1);
    }
}

TEST(Exact64Encoding, RefusesADifferenceThatOverflows) {
    const auto& encoding = *find_plain_encoding(Encoding::Exact64);
    const std::vector<std::int64_t> high{std::numeric_limits<std::int64_t>::max()};
    const std::vector<std::int64_t> low{-2};
    std::vector<std::int64_t> delta(1);
    EXPECT_FALSE(encoding.difference(view(high), view(low), 0.5, room(delta)).finite);
}

TEST(Encoding, UnknownOnesAreNotFound) {
    EXPECT_EQ(find_encoding(static_cast<Encoding>(200)), nullptr);
}

}  // namespace
}  // namespace starling::gossip
