// Goal: a signature is valid only for its key and text, and the id of a key is that of its peer.
// Method: two fresh identities, altered texts and signatures, and RFC 8032's first test vector.

#include "peer/crypto/notary.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

TEST(Notary, SignsForItsIdentityAndNobodyElse) {
    const auto identity = ephemeral_identity();
    const auto notary = make_notary(identity);
    const auto other = make_notary(ephemeral_identity());
    EXPECT_EQ(notary->id_of(notary->key()), identity.id);
    EXPECT_EQ(other->id_of(notary->key()), identity.id);
    const auto text = as_byte_view("I live");
    const auto signature = notary->sign(text);
    EXPECT_TRUE(other->verify(notary->key(), text, signature));
    EXPECT_FALSE(other->verify(other->key(), text, signature));
    EXPECT_FALSE(other->verify(notary->key(), as_byte_view("I leave"), signature));
    for (std::size_t i = 0; i < signature.size(); ++i) {
        auto bent = signature;
        bent[i] ^= 1U;
        ASSERT_FALSE(other->verify(notary->key(), text, bent)) << i;
    }
}

TEST(Notary, ChecksTheFirstVectorOfRfc8032) {
    const membership::PublicKey key = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7,
                                       0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                                       0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
                                       0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
    const membership::Signature signature = {
        0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72, 0x90, 0x86, 0xe2, 0xcc, 0x80,
        0x6e, 0x82, 0x8a, 0x84, 0x87, 0x7f, 0x1e, 0xb8, 0xe5, 0xd9, 0x74, 0xd8, 0x73,
        0xe0, 0x65, 0x22, 0x49, 0x01, 0x55, 0x5f, 0xb8, 0x82, 0x15, 0x90, 0xa3, 0x3b,
        0xac, 0xc6, 0x1e, 0x39, 0x70, 0x1c, 0xf9, 0xb4, 0x6b, 0xd2, 0x5b, 0xf5, 0xf0,
        0x59, 0x5b, 0xbe, 0x24, 0x65, 0x51, 0x41, 0x43, 0x8e, 0x7a, 0x10, 0x0b};
    EXPECT_TRUE(make_notary(ephemeral_identity())->verify(key, {}, signature));
}

}  // namespace
}  // namespace starling::peer
