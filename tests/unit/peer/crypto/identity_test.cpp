// Goal: the same directory gives the same peer with a higher epoch, and damage to it gives a line
// that says what to do. Method: real key files in a temporary directory.

#include "peer/crypto/identity.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <set>
#include <sys/stat.h>

#include "peer/crypto/sha256.hpp"
#include "peer/machine/files.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

class IdentityFiles : public ::testing::Test {
protected:
    void write(const std::string& name, std::string_view text) {
        starling::testing::write_quickly(path() / name, as_byte_view(text));
        ASSERT_EQ(::chmod((path() / name).c_str(), 0600), 0);
    }

    void expect_fault(FaultCode code, const std::string& part) {
        const auto identity = load_identity(path());
        ASSERT_FALSE(identity.has_value());
        EXPECT_EQ(to_string(identity.error().code), to_string(code));
        EXPECT_NE(identity.error().message.find(part), std::string::npos)
            << identity.error().message;
        EXPECT_EQ(identity.error().message.find('\n'), std::string::npos);
    }

    [[nodiscard]] const fs::path& path() const { return directory_.path(); }

    starling::testing::TemporaryDirectory directory_;
};

TEST_F(IdentityFiles, TheSameDirectoryIsTheSamePeerWithAHigherEpoch) {
    const auto first = load_identity(path());
    ASSERT_TRUE(first.has_value()) << first.error().message;
    EXPECT_EQ(first->epoch, 1U);

    struct stat status {};

    ASSERT_EQ(::stat((path() / "identity.key").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    for (std::uint64_t epoch = 2; epoch < 5; ++epoch) {
        const auto again = load_identity(path());
        ASSERT_TRUE(again.has_value()) << again.error().message;
        EXPECT_EQ(again->id, first->id);
        EXPECT_EQ(again->epoch, epoch);
        EXPECT_EQ(EVP_PKEY_eq(again->key.get(), first->key.get()), 1);
    }
}

TEST_F(IdentityFiles, TheEpochCanBeRaisedButNeverLowered) {
    EXPECT_EQ(load_identity(path(), 1000)->epoch, 1000U);
    EXPECT_EQ(load_identity(path(), 7)->epoch, 1001U);
}

TEST(Identity, TheIdIsTheHashOfThePublicKeysDer) {
    const auto identity = ephemeral_identity();
    EXPECT_EQ(identity.epoch, 1U);
    std::array<unsigned char, 32> raw{};
    std::size_t length = raw.size();
    ASSERT_EQ(EVP_PKEY_get_raw_public_key(identity.key.get(), raw.data(), &length), 1);
    // RFC 8410, section 4: the DER of an Ed25519 SubjectPublicKeyInfo is this prefix and the key.
    Bytes der;
    for (const int byte : {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0}) {
        der.push_back(static_cast<std::byte>(byte));
    }
    ByteWriter(der).put_array(raw);
    EXPECT_EQ(identity.id.bytes, sha256(der));
}

TEST(Identity, EphemeralPeersDiffer) {
    EXPECT_NE(load_identity({})->id, load_identity({})->id);
    EXPECT_EQ(load_identity({})->epoch, 1U);
    std::set<PeerId> ids;
    for (int i = 0; i < 20; ++i) ids.insert(ephemeral_identity().id);
    EXPECT_EQ(ids.size(), 20U);
}

TEST(Identity, AKeyOfAnotherKindIsNoPeer) {
    const std::shared_ptr<EVP_PKEY> other(
        EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"), EVP_PKEY_free
    );
    EXPECT_EQ(peer_id_of(other.get()).error().code, FaultCode::BadFormat);
    EXPECT_EQ(peer_id_of(nullptr).error().code, FaultCode::BadFormat);
}

TEST_F(IdentityFiles, DamagedKeysAreExplainedAndKept) {
    for (const std::string_view text :
         {"",
          "not a key",
          "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
          "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"}) {
        SCOPED_TRACE(text);
        write("identity.key", text);
        expect_fault(FaultCode::BadFormat, "remove it to become a new peer");
        EXPECT_EQ(as_text(*read_file(path() / "identity.key", 1000)), text);
    }
}

TEST_F(IdentityFiles, EveryTruncationOfAKeyIsRefused) {
    ASSERT_TRUE(load_identity(path()).has_value());
    const auto pem = *read_file(path() / "identity.key", 1000);
    // Without its last line break the PEM is still whole.
    for (std::size_t length = 0; length + 1 < pem.size(); ++length) {
        SCOPED_TRACE(length);
        write("identity.key", as_text(pem).substr(0, length));
        expect_fault(FaultCode::BadFormat, "identity.key");
    }
}

TEST_F(IdentityFiles, AKeyThatOthersMayReadIsRefused) {
    ASSERT_TRUE(load_identity(path()).has_value());
    ASSERT_EQ(::chmod((path() / "identity.key").c_str(), 0644), 0);
    expect_fault(FaultCode::Usage, "chmod 600");
}

TEST_F(IdentityFiles, DamagedEpochsAreExplained) {
    ASSERT_TRUE(load_identity(path()).has_value());
    for (const std::string_view text :
         {"", "\n", "-1", "seven", "3 4", "18446744073709551615", "99999999999999999999999"}) {
        SCOPED_TRACE(text);
        write("epoch", text);
        expect_fault(FaultCode::BadFormat, "epoch");
    }
    write("epoch", std::string(100, '1'));
    expect_fault(FaultCode::Oversized, "epoch");
    write("epoch", "41");
    EXPECT_EQ(load_identity(path())->epoch, 42U);
}

TEST_F(IdentityFiles, AMissingDirectoryIsOneLine) {
    const auto identity = load_identity(path() / "absent");
    ASSERT_FALSE(identity.has_value());
    EXPECT_EQ(identity.error().code, FaultCode::Io);
}

}  // namespace
}  // namespace starling::peer
