// Goal: two peers compute the same secret, and others another one. Method: both directions, the
// golden rows of seal_test.cpp, and keys that no honest peer has.

#include "peer/crypto/pair_keys.hpp"

#include <gtest/gtest.h>

#include "peer/crypto/notary.hpp"

namespace starling::peer {
namespace {

SwarmKey key_of(std::uint8_t fill) {
    SwarmKey key;
    key.bytes.fill(fill);
    return key;
}

TEST(PairKeys, BothSidesAgreeAndNobodyElseDoes) {
    const auto a = ephemeral_identity();
    const auto b = ephemeral_identity();
    PairKeys ours(key_of(1), a);
    PairKeys theirs(key_of(1), b);
    const auto secret = ours.with(theirs.self());
    ASSERT_TRUE(secret.has_value());
    EXPECT_EQ(theirs.with(ours.self()), secret);
    EXPECT_EQ(ours.with(theirs.self()), secret) << "the second time";
    PairKeys third(key_of(1), ephemeral_identity());
    EXPECT_NE(third.with(theirs.self()), secret);
    EXPECT_NE(third.with(ours.self()), secret);
    PairKeys other_swarm(key_of(2), a);
    EXPECT_NE(other_swarm.with(theirs.self()), secret);
    EXPECT_TRUE(ours.with(ours.self()).has_value()) << "two processes with one identity";
}

TEST(PairKeys, PointsOfSmallOrderAndWhatIsNoPointGiveNone) {
    PairKeys ours(key_of(1), ephemeral_identity());
    membership::PublicKey neutral{};  // (0, 1)
    neutral[0] = 1;
    EXPECT_FALSE(ours.with(neutral).has_value());
    EXPECT_FALSE(ours.with({}).has_value()) << "of order 4";
    membership::PublicKey minus_one;  // (0, -1), of order 2
    minus_one.fill(0xff);
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    EXPECT_FALSE(ours.with(minus_one).has_value());
    membership::PublicKey above;
    above.fill(0xff);
    EXPECT_FALSE(ours.with(above).has_value()) << "no coordinate: not below the prime";
}

TEST(PairKeys, TheBasePointOfOneCurveIsThatOfTheOther) {
    // Ed25519's base point has y = 4/5, X25519's has u = 9 (RFC 7748, section 4.1).
    membership::PublicKey base;
    base.fill(0x66);
    base[0] = 0x58;
    std::array<std::uint8_t, 32> nine{};
    nine[0] = 9;
    EXPECT_EQ(x25519_key_of(base), nine);
}

}  // namespace
}  // namespace starling::peer
