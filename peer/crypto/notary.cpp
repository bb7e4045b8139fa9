#include "peer/crypto/notary.hpp"

#include <algorithm>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/check.hpp"
#include "peer/crypto/sha256.hpp"

namespace starling::peer {

namespace {

using membership::PublicKey;
using membership::Signature;

/// The bytes before the key in the SubjectPublicKeyInfo of an Ed25519 key (RFC 8410, section 4).
/// With them id_of() hashes the same bytes as peer_id_of(), without making an OpenSSL key.
constexpr std::array<std::uint8_t, 12> kKeyInfo = {
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

struct FreeKey {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

const unsigned char* data_of(ByteView bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

class Ed25519Notary final : public membership::Notary {
public:
    explicit Ed25519Notary(const Identity& identity) : private_key_(identity.key) {
        std::size_t size = key_.size();
        const int got = EVP_PKEY_get_raw_public_key(private_key_.get(), key_.data(), &size);
        STARLING_CHECK(got == 1 && size == key_.size());
        STARLING_CHECK(id_of(key_) == identity.id);
    }

    [[nodiscard]] const PublicKey& key() const override { return key_; }

    [[nodiscard]] Signature sign(ByteView text) const override {
        const Context context(EVP_MD_CTX_new());
        Signature signature{};
        std::size_t size = signature.size();
        // This fails only without memory, and a peer that cannot sign cannot go on.
        const bool signed_it =
            context != nullptr &&
            EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, private_key_.get()) == 1 &&
            EVP_DigestSign(context.get(), signature.data(), &size, data_of(text), text.size()) == 1;
        STARLING_CHECK(signed_it && size == signature.size());
        return signature;
    }

    [[nodiscard]] bool verify(const PublicKey& key, ByteView text, const Signature& signature)
        const override {
        const std::unique_ptr<EVP_PKEY, FreeKey> owner(
            EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size())
        );
        const Context context(EVP_MD_CTX_new());
        const bool fits =
            owner != nullptr && context != nullptr &&
            EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, owner.get()) == 1 &&
            EVP_DigestVerify(
                context.get(), signature.data(), signature.size(), data_of(text), text.size()
            ) == 1;
        if (!fits) ERR_clear_error();
        return fits;
    }

    [[nodiscard]] PeerId id_of(const PublicKey& key) const override {
        std::array<std::uint8_t, kKeyInfo.size() + 32> info{};
        std::copy(kKeyInfo.begin(), kKeyInfo.end(), info.begin());
        std::copy(key.begin(), key.end(), info.begin() + kKeyInfo.size());
        return PeerId{sha256(std::as_bytes(std::span(info)))};
    }

private:
    std::shared_ptr<EVP_PKEY> private_key_;
    PublicKey key_{};
};

}  // namespace

std::shared_ptr<const membership::Notary> make_notary(const Identity& identity) {
    return std::make_shared<Ed25519Notary>(identity);
}

}  // namespace starling::peer
