#include "peer/crypto/sha256.hpp"

#include <openssl/evp.h>

#include "base/check.hpp"

namespace starling::peer {

Digest sha256(ByteView bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

// OpenSSL fails here only without memory or without SHA-256, and then nothing could go on.
Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    STARLING_CHECK(context_ != nullptr);
    STARLING_CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void Sha256::update(ByteView bytes) {
    STARLING_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
    Digest digest{};
    unsigned length = 0;
    STARLING_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), &length) == 1);
    STARLING_CHECK(length == digest.size());
    return digest;
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
    EVP_MD_CTX_free(context);
}

}  // namespace starling::peer
