#include "peer/crypto/seal.hpp"

#include <cstring>
#include <openssl/evp.h>

#include "base/check.hpp"

namespace starling::peer {

namespace {

constexpr std::size_t kHead = 1 + 4 + 8;  // version, swarm tag, sender
constexpr std::size_t kTagAt = 1;
constexpr std::size_t kSenderAt = 1 + 4;
constexpr std::size_t kCounter = 8;
constexpr std::size_t kTag = 16;
constexpr std::size_t kNonce = 12;
constexpr std::size_t kAssociated = kHead + kCounter;
static_assert(kCounter + kTag == membership::kSealOverhead);

constexpr unsigned kSequenceBits = 36;
constexpr std::uint64_t kSequenceMask = (std::uint64_t{1} << kSequenceBits) - 1;

using Nonce = std::array<unsigned char, kNonce>;

unsigned char* raw(std::byte* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}

const unsigned char* raw(const std::byte* bytes) {
    return reinterpret_cast<const unsigned char*>(bytes);
}

void put_big_endian(std::byte* out, std::uint64_t value) {
    for (unsigned i = 0; i < 8; ++i) out[i] = static_cast<std::byte>(value >> (56 - 8 * i));
}

std::uint64_t get_big_endian(const std::byte* in) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < 8; ++i) value = (value << 8U) | std::to_integer<std::uint64_t>(in[i]);
    return value;
}

Nonce nonce_of(const std::byte* counter) {
    Nonce nonce{};
    std::memcpy(nonce.data() + kNonce - kCounter, counter, kCounter);
    return nonce;
}

SwarmKey sender_key(
    const SwarmKey& key, const SwarmId& swarm, std::uint64_t sender, std::uint64_t life
) {
    std::array<std::byte, 16> who{};
    put_big_endian(who.data(), sender);
    put_big_endian(who.data() + 8, life);
    const auto label = as_byte_view("starling datagram");
    Bytes purpose(label.begin(), label.end());
    purpose.insert(purpose.end(), who.begin(), who.end());
    return derive_key(key, swarm, purpose);
}

}  // namespace

void FreeCipher::operator()(evp_cipher_ctx_st* context) const {
    EVP_CIPHER_CTX_free(context);
}

Sealer::Sealer(const SwarmKey& key, const SwarmId& swarm, const PeerId& self, std::uint64_t epoch)
    : key_(key),
      swarm_(swarm),
      self_(self),
      cipher_(EVP_CIPHER_CTX_new()) {
    STARLING_CHECK(cipher_ != nullptr);
    begin_life(epoch);
}

void Sealer::begin_life(std::uint64_t epoch) {
    STARLING_CHECK(epoch < kLivesMax);
    life_ = epoch;
    counter_ = epoch << kSequenceBits;
    counter_end_ = counter_ | kSequenceMask;
    const auto own = sender_key(key_, swarm_, self_.prefix64(), epoch);
    const int ready =
        EVP_EncryptInit_ex(cipher_.get(), EVP_aes_256_gcm(), nullptr, own.bytes.data(), nullptr);
    STARLING_CHECK(ready == 1);
}

bool Sealer::seal(ByteView packet, Bytes& out) {
    STARLING_CHECK(packet.size() >= kHead && packet.size() <= membership::kPacketMax);
    // The last counter is never used, so that counting never runs into the next life's counters.
    if (counter_ == counter_end_) return false;
    const auto messages = packet.subspan(kHead);
    out.resize(packet.size() + membership::kSealOverhead);
    std::memcpy(out.data(), packet.data(), kHead);
    put_big_endian(out.data() + kHead, counter_++);
    const auto nonce = nonce_of(out.data() + kHead);
    auto* context = cipher_.get();
    auto* body = out.data() + kAssociated;
    int size = 0;
    const auto bytes = static_cast<int>(messages.size());
    const bool sealed =
        EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
        EVP_EncryptUpdate(context, nullptr, &size, raw(out.data()), int{kAssociated}) == 1 &&
        EVP_EncryptUpdate(context, raw(body), &size, raw(messages.data()), bytes) == 1 &&
        EVP_EncryptFinal_ex(context, raw(body) + bytes, &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, int{kTag}, body + messages.size()) == 1;
    STARLING_CHECK(sealed);
    return true;
}

Opener::Opener(const SwarmKey& key, const SwarmId& swarm)
    : key_(key),
      swarm_(swarm),
      cipher_(EVP_CIPHER_CTX_new()) {
    STARLING_CHECK(cipher_ != nullptr);
    const int ready =
        EVP_DecryptInit_ex(cipher_.get(), EVP_aes_256_gcm(), nullptr, nullptr, nullptr);
    STARLING_CHECK(ready == 1);
}

std::optional<ByteView> Opener::reject(std::uint64_t& counter) {
    ++counter;
    return std::nullopt;
}

std::optional<ByteView> Opener::open(ByteView datagram) {
    if (datagram.size() < kAssociated + kTag || datagram.size() > membership::kDatagramMax) {
        return reject(counters_.rejected);
    }
    if (std::memcmp(datagram.data() + kTagAt, swarm_.bytes.data(), kSenderAt - kTagAt) != 0) {
        return reject(counters_.foreign);
    }
    const auto who = get_big_endian(datagram.data() + kSenderAt);
    const auto counter = get_big_endian(datagram.data() + kHead);
    const auto life = counter >> kSequenceBits;
    const auto sequence = counter & kSequenceMask;
    const auto found = senders_.find(who);
    if (found != senders_.end() && found->second.life >= life) {
        auto& sender = found->second;
        if (sender.life > life || !is_news(sender, sequence)) return reject(counters_.replayed);
        if (!decrypt(sender.key, datagram)) return reject(counters_.rejected);
        note(sender, sequence);
    } else {
        // A sender gets memory here only after it has proved that it holds the key.
        const auto key = sender_key(key_, swarm_, who, life);
        if (!decrypt(key, datagram)) return reject(counters_.rejected);
        if (senders_.size() >= kSendersMax && found == senders_.end()) {
            senders_.erase(senders_.begin());
        }
        auto& sender = senders_[who];
        sender = Sender{life, sequence, {}, key};
        note(sender, sequence);
    }
    return ByteView(packet_).first(datagram.size() - membership::kSealOverhead);
}

bool Opener::is_news(const Sender& sender, std::uint64_t sequence) {
    if (sequence > sender.newest) return true;
    if (sender.newest - sequence >= kReplayWindow) return false;
    return !sender.seen[sequence % kReplayWindow];
}

void Opener::note(Sender& sender, std::uint64_t sequence) {
    if (sequence > sender.newest) {
        if (sequence - sender.newest >= kReplayWindow) {
            sender.seen.reset();
        } else {
            for (auto skipped = sender.newest + 1; skipped < sequence; ++skipped) {
                sender.seen.reset(skipped % kReplayWindow);
            }
        }
        sender.newest = sequence;
    }
    sender.seen.set(sequence % kReplayWindow);
}

bool Opener::decrypt(const SwarmKey& key, ByteView datagram) {
    const auto nonce = nonce_of(datagram.data() + kHead);
    const auto messages = datagram.subspan(kAssociated, datagram.size() - kAssociated - kTag);
    std::array<unsigned char, kTag> tag{};
    std::memcpy(tag.data(), datagram.data() + datagram.size() - kTag, kTag);
    std::memcpy(packet_.data(), datagram.data(), kHead);
    auto* context = cipher_.get();
    auto* body = raw(packet_.data() + kHead);
    int size = 0;
    const auto bytes = static_cast<int>(messages.size());
    return EVP_DecryptInit_ex(context, nullptr, nullptr, key.bytes.data(), nonce.data()) == 1 &&
           EVP_DecryptUpdate(context, nullptr, &size, raw(datagram.data()), int{kAssociated}) ==
               1 &&
           EVP_DecryptUpdate(context, body, &size, raw(messages.data()), bytes) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, int{kTag}, tag.data()) == 1 &&
           EVP_DecryptFinal_ex(context, body + bytes, &size) > 0;
}

}  // namespace starling::peer
