#include "peer/crypto/pair_keys.hpp"

#include <cstring>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/check.hpp"

namespace starling::peer {

namespace {

using membership::PublicKey;
using Coordinate = std::array<std::uint8_t, 32>;

struct FreeNumber {
    void operator()(BIGNUM* number) const { BN_free(number); }
};

struct FreeScratch {
    void operator()(BN_CTX* scratch) const { BN_CTX_free(scratch); }
};

struct FreeKey {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

struct FreeAgreement {
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};

using Number = std::unique_ptr<BIGNUM, FreeNumber>;

Number new_number() {
    Number number(BN_new());
    STARLING_CHECK(number != nullptr);
    return number;
}

/// Returns 2^255 - 19.
Number field_prime() {
    auto prime = new_number();
    STARLING_CHECK(BN_set_bit(prime.get(), 255) == 1 && BN_sub_word(prime.get(), 19) == 1);
    return prime;
}

/// An Ed25519 private key is a seed. Its SHA-512 begins with the scalar of the public point, which is
/// the X25519 private key as well (RFC 8032, section 5.1.5).
std::shared_ptr<EVP_PKEY> agreement_key(EVP_PKEY* identity) {
    std::array<unsigned char, 32> seed{};
    std::size_t size = seed.size();
    STARLING_CHECK(EVP_PKEY_get_raw_private_key(identity, seed.data(), &size) == 1);
    std::array<unsigned char, 64> hash{};
    const int hashed =
        EVP_Digest(seed.data(), seed.size(), hash.data(), nullptr, EVP_sha512(), nullptr);
    STARLING_CHECK(hashed == 1 && size == seed.size());
    auto* key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, hash.data(), 32);
    OPENSSL_cleanse(seed.data(), seed.size());
    OPENSSL_cleanse(hash.data(), hash.size());
    STARLING_CHECK(key != nullptr);
    return {key, FreeKey{}};
}

/// Returns the shared coordinate, or nothing for a point of small order.
std::optional<Coordinate> agree(EVP_PKEY* own, const Coordinate& other) {
    const std::unique_ptr<EVP_PKEY, FreeKey> theirs(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, other.data(), other.size())
    );
    const std::unique_ptr<EVP_PKEY_CTX, FreeAgreement> context(EVP_PKEY_CTX_new(own, nullptr));
    Coordinate shared{};
    std::size_t size = shared.size();
    const bool agreed = theirs != nullptr && context != nullptr &&
                        EVP_PKEY_derive_init(context.get()) == 1 &&
                        EVP_PKEY_derive_set_peer(context.get(), theirs.get()) == 1 &&
                        EVP_PKEY_derive(context.get(), shared.data(), &size) == 1;
    if (!agreed) {
        ERR_clear_error();
        return std::nullopt;
    }
    return shared;
}

}  // namespace

std::size_t HashKey::operator()(const PublicKey& key) const noexcept {
    std::size_t hash = 0;
    std::memcpy(&hash, key.data(), sizeof hash);
    return hash;
}

std::optional<Coordinate> x25519_key_of(const PublicKey& key) {
    auto encoded = key;
    encoded.back() &= 0x7fU;  // the sign of x, which u does not depend on
    const auto prime = field_prime();
    const Number y(BN_lebin2bn(encoded.data(), int{encoded.size()}, nullptr));
    const std::unique_ptr<BN_CTX, FreeScratch> scratch(BN_CTX_new());
    STARLING_CHECK(y != nullptr && scratch != nullptr);
    if (BN_cmp(y.get(), prime.get()) >= 0 || BN_is_one(y.get())) return std::nullopt;
    const auto over = new_number();
    const auto under = new_number();
    const auto inverse = new_number();
    Coordinate u{};
    const bool computed =
        BN_mod_add(over.get(), BN_value_one(), y.get(), prime.get(), scratch.get()) == 1 &&
        BN_mod_sub(under.get(), BN_value_one(), y.get(), prime.get(), scratch.get()) == 1 &&
        BN_mod_inverse(inverse.get(), under.get(), prime.get(), scratch.get()) != nullptr &&
        BN_mod_mul(over.get(), over.get(), inverse.get(), prime.get(), scratch.get()) == 1 &&
        BN_bn2lebinpad(over.get(), u.data(), int{u.size()}) == int{u.size()};
    STARLING_CHECK(computed);
    return u;
}

PairKeys::PairKeys(const SwarmKey& swarm_key, const Identity& identity)
    : swarm_key_(swarm_key),
      own_(agreement_key(identity.key.get())) {
    std::size_t size = self_.size();
    const int got = EVP_PKEY_get_raw_public_key(identity.key.get(), self_.data(), &size);
    STARLING_CHECK(got == 1 && size == self_.size());
}

std::optional<SwarmKey> PairKeys::with(const PublicKey& other) {
    if (const auto known = pairs_.find(other); known != pairs_.end()) return known->second;
    const auto point = x25519_key_of(other);
    if (!point) return std::nullopt;
    auto shared = agree(own_.get(), *point);
    if (!shared) return std::nullopt;
    const auto label = as_byte_view("starling pair");
    Bytes text(label.begin(), label.end());
    ByteWriter(text).put_array(*shared);
    const SwarmKey secret{mac_of(swarm_key_, text)};
    OPENSSL_cleanse(shared->data(), shared->size());
    OPENSSL_cleanse(text.data(), text.size());
    if (pairs_.size() >= kPairsMax) pairs_.erase(pairs_.begin());
    pairs_.emplace(other, secret);
    return secret;
}

}  // namespace starling::peer
