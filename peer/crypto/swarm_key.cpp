#include "peer/crypto/swarm_key.hpp"

#include <cerrno>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

namespace {

constexpr std::size_t kKeyFileMax = 256;
constexpr std::size_t kDigits = 64;

Mac hmac(ByteView key, ByteView text) {
    Mac mac{};
    unsigned int size = 0;
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    const auto* made = HMAC(
        EVP_sha256(), key.data(), static_cast<int>(key.size()), data, text.size(), mac.data(), &size
    );
    STARLING_CHECK(made != nullptr && size == mac.size());
    return mac;
}

int value_of(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

Result<SwarmKey> parse(std::string_view text, const std::string& where) {
    while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
    SwarmKey key;
    bool good = text.size() == kDigits;
    for (std::size_t i = 0; good && i < key.bytes.size(); ++i) {
        const int high = value_of(text[2 * i]);
        const int low = value_of(text[2 * i + 1]);
        good = high >= 0 && low >= 0;
        key.bytes[i] = static_cast<std::uint8_t>(16 * high + low);
    }
    if (good) return key;
    return fail(
        FaultCode::BadFormat,
        "--key: " + where +
            " is not one line of 64 hexadecimal digits; copy swarm.key from the founder's state "
            "directory"
    );
}

Result<Bytes> read_standard_input() {
    Bytes bytes(kKeyFileMax);
    std::size_t filled = 0;
    while (filled < bytes.size()) {
        const auto got = ::read(STDIN_FILENO, bytes.data() + filled, bytes.size() - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(FaultCode::Io, "--key -: cannot read standard input");
        if (got == 0) break;
        filled += static_cast<std::size_t>(got);
    }
    bytes.resize(filled);
    return bytes;
}

}  // namespace

SwarmKey random_swarm_key() {
    SwarmKey key;
    // Without entropy there is no secret.
    STARLING_CHECK(RAND_bytes(key.bytes.data(), static_cast<int>(key.bytes.size())) == 1);
    return key;
}

SwarmKey open_swarm_key(const SwarmId& swarm) {
    return derive_key({}, swarm, as_byte_view("starling open swarm"));
}

Result<SwarmKey> read_swarm_key(const std::filesystem::path& path) {
    const bool from_input = path == "-";
    if (!from_input) {
        struct stat status {};

        if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 077U) != 0) {
            return fail(
                FaultCode::Usage,
                "--key: others may read " + path.string() + "; run chmod 600 on it"
            );
        }
    }
    auto bytes = from_input ? read_standard_input() : read_file(path, kKeyFileMax);
    if (!bytes) return bytes.error();
    auto key = parse(as_text(*bytes), from_input ? "standard input" : path.string());
    OPENSSL_cleanse(bytes->data(), bytes->size());
    return key;
}

Result<void> write_swarm_key(const std::filesystem::path& path, const SwarmKey& key) {
    std::string text = Hash256<SwarmKey>{key.bytes}.hex() + "\n";
    auto written = write_file_atomically(path, as_byte_view(text), kPrivateFile);
    OPENSSL_cleanse(text.data(), text.size());
    return written;
}

Mac mac_of(const SwarmKey& key, ByteView text) {
    return hmac(std::as_bytes(std::span(key.bytes)), text);
}

SwarmKey derive_key(const SwarmKey& key, const SwarmId& swarm, ByteView purpose) {
    const auto secret = std::as_bytes(std::span(key.bytes));
    const Mac extracted = hmac(std::as_bytes(std::span(swarm.bytes)), secret);
    Bytes block(purpose.begin(), purpose.end());
    block.push_back(std::byte{1});
    return SwarmKey{hmac(std::as_bytes(std::span(extracted)), block)};
}

}  // namespace starling::peer
