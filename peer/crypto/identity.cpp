#include "peer/crypto/identity.hpp"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "base/check.hpp"
#include "peer/crypto/epoch.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeyFileMax = 4096;

struct FreeBio {
    void operator()(BIO* bio) const { BIO_free_all(bio); }
};

using KeyPointer = std::shared_ptr<EVP_PKEY>;
using BioPointer = std::unique_ptr<BIO, FreeBio>;

KeyPointer own(EVP_PKEY* key) {
    return {key, EVP_PKEY_free};
}

KeyPointer make_key() {
    // This fails only without memory or entropy, and no peer can run without an identity.
    auto key = own(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    STARLING_CHECK(key != nullptr);
    return key;
}

PeerId id_of_own(const KeyPointer& key) {
    const auto id = peer_id_of(key.get());
    STARLING_CHECK(id.has_value());
    return *id;
}

/// Gives no passphrase. Without this, OpenSSL asks for that of an encrypted key on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*context*/) {
    return -1;
}

Result<KeyPointer> read_key(const fs::path& path) {
    auto pem = read_file(path, kKeyFileMax);
    if (!pem) return pem.error();

    struct stat status {};

    if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 077U) != 0) {
        return fail(
            FaultCode::Usage,
            path.string() + ": others may read this private key; run chmod 600 on it"
        );
    }
    // OpenSSL refuses a null pointer, which an empty vector may have.
    const void* text = pem->empty() ? "" : static_cast<const void*>(pem->data());
    const BioPointer bio(BIO_new_mem_buf(text, static_cast<int>(pem->size())));
    STARLING_CHECK(bio != nullptr);
    auto key = own(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    OPENSSL_cleanse(pem->data(), pem->size());
    ERR_clear_error();
    if (key == nullptr || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
        return fail(
            FaultCode::BadFormat,
            path.string() +
                ": not an unencrypted Ed25519 private key in PEM; restore it, or remove "
                "it to become a new peer"
        );
    }
    return key;
}

Result<KeyPointer> create_key(const fs::path& path) {
    auto key = make_key();
    const BioPointer bio(BIO_new(BIO_s_mem()));
    STARLING_CHECK(bio != nullptr);
    const int written =
        PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    STARLING_CHECK(written == 1);
    char* pem = nullptr;
    const long length = BIO_get_mem_data(bio.get(), &pem);
    const auto stored = write_file_atomically(
        path, as_byte_view({pem, static_cast<std::size_t>(length)}), kPrivateFile
    );
    OPENSSL_cleanse(pem, static_cast<std::size_t>(length));
    if (!stored) return stored.error();
    return key;
}

}  // namespace

Result<PeerId> peer_id_of(const evp_pkey_st* key) {
    if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) {
        return fail(FaultCode::BadFormat, "a peer's key must be of kind Ed25519");
    }
    unsigned char* der = nullptr;
    const int length = i2d_PUBKEY(key, &der);
    STARLING_CHECK(length > 0);
    const PeerId id{sha256(std::as_bytes(std::span(der, static_cast<std::size_t>(length))))};
    OPENSSL_free(der);
    return id;
}

Identity ephemeral_identity() {
    Identity identity;
    identity.key = make_key();
    identity.id = id_of_own(identity.key);
    return identity;
}

Result<Identity> load_identity(const fs::path& directory, std::uint64_t epoch_at_least) {
    if (directory.empty()) return ephemeral_identity();
    const fs::path key_path = directory / "identity.key";
    auto key = read_key(key_path);
    if (!key && key.error().code == FaultCode::NotFound) key = create_key(key_path);
    if (!key) return key.error();
    const auto epoch = raise_epoch(real_disk(), directory / "epoch", epoch_at_least);
    if (!epoch) return epoch.error();
    Identity identity;
    identity.key = *key;
    identity.id = id_of_own(*key);
    identity.epoch = *epoch;
    return identity;
}

}  // namespace starling::peer
