#include "peer/crypto/channel_context.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/check.hpp"

namespace starling::peer {

namespace {

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

/// Returns the shortest of a few times that it takes to seal one record.
std::chrono::nanoseconds time_of(const EVP_CIPHER* cipher) {
    constexpr int kTries = 8;
    static std::array<unsigned char, 16384> record{};
    const std::array<unsigned char, 32> key{};
    const std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context(EVP_CIPHER_CTX_new());
    STARLING_CHECK(context != nullptr);
    auto best = std::chrono::nanoseconds::max();
    for (int i = 0; i < kTries; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        int size = 0;
        const bool sealed =
            EVP_EncryptInit_ex(context.get(), cipher, nullptr, key.data(), key.data()) == 1 &&
            EVP_EncryptUpdate(
                context.get(), record.data(), &size, record.data(), int{record.size()}
            ) == 1;
        STARLING_CHECK(sealed);
        best = std::min<std::chrono::nanoseconds>(best, std::chrono::steady_clock::now() - begin);
    }
    return best;
}

}  // namespace

const std::string& channel_suites() {
    static const std::string suites = [] {
        const std::string aes = "TLS_AES_128_GCM_SHA256";
        const std::string chacha = "TLS_CHACHA20_POLY1305_SHA256";
        const bool aes_first = time_of(EVP_aes_128_gcm()) <= time_of(EVP_chacha20_poly1305());
        return aes_first ? aes + ":" + chacha : chacha + ":" + aes;
    }();
    return suites;
}

#ifdef STARLING_KEY_LOG
void log_channel_secrets(ssl_ctx_st* context) {
    if (std::getenv("STARLING_KEY_LOG") == nullptr) return;
    SSL_CTX_set_keylog_callback(context, [](const SSL* /*session*/, const char* line) {
        std::FILE* file = std::fopen(std::getenv("STARLING_KEY_LOG"), "a");
        if (file == nullptr) return;
        std::fprintf(file, "%s\n", line);
        std::fclose(file);
    });
}
#else
void log_channel_secrets(ssl_ctx_st* /*context*/) {}
#endif

}  // namespace starling::peer
