#include "peer/crypto/seal.hpp"

#include <algorithm>
#include <cstring>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <utility>

#include "base/check.hpp"
#include "membership/codec.hpp"

namespace starling::peer {

namespace {

using membership::BootSalt;
using membership::PublicKey;

constexpr std::size_t kHead = 1 + 4 + 8;  // version, swarm tag, sender
constexpr std::size_t kTagAt = 1;
constexpr std::size_t kSenderAt = 1 + 4;
constexpr std::size_t kCounter = 8;
constexpr std::size_t kCounterAt = kHead + 1;
constexpr std::size_t kTag = 16;
constexpr std::size_t kNonce = 12;
constexpr std::size_t kReadable = kCounterAt + kCounter;  // of form 0
static_assert(1 + kCounter + kTag == membership::kSealOverhead);

constexpr std::byte kKnown{0};
constexpr std::byte kIntroduces{1};

constexpr unsigned kSequenceBits = 36;
constexpr std::uint64_t kSequenceMask = (std::uint64_t{1} << kSequenceBits) - 1;

/// More lives of one epoch than two need not be told apart.
constexpr std::size_t kLivesPerSender = 2;

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

/// Returns the key of one life of a sender; `to` is its receiver, or null in form 1.
SwarmKey life_key(
    const SwarmKey& secret, const SwarmId& swarm, const Life& life, const PublicKey* to
) {
    const auto label = as_byte_view(to != nullptr ? "starling datagram" : "starling introduction");
    Bytes purpose(label.begin(), label.end());
    ByteWriter writer(purpose);
    writer.put_array(life.key);
    if (to != nullptr) writer.put_array(*to);
    std::array<std::byte, 8> epoch{};
    put_big_endian(epoch.data(), life.epoch);
    writer.put_bytes(epoch);
    writer.put_array(life.salt);
    return derive_key(secret, swarm, purpose);
}

}  // namespace

void FreeCipher::operator()(evp_cipher_ctx_st* context) const {
    EVP_CIPHER_CTX_free(context);
}

BootSalt random_boot_salt() {
    BootSalt salt{};
    STARLING_CHECK(RAND_bytes(salt.data(), int{salt.size()}) == 1);
    return salt;
}

Sealer::Sealer(
    const SwarmKey& key,
    const SwarmId& swarm,
    std::shared_ptr<PairKeys> pairs,
    const BootSalt& salt,
    std::uint64_t epoch
)
    : swarm_key_(key),
      swarm_(swarm),
      pairs_(std::move(pairs)),
      cipher_(EVP_CIPHER_CTX_new()),
      life_{pairs_->self(), epoch, salt} {
    STARLING_CHECK(cipher_ != nullptr);
    const int ready =
        EVP_EncryptInit_ex(cipher_.get(), EVP_aes_256_gcm(), nullptr, nullptr, nullptr);
    STARLING_CHECK(ready == 1);
    begin_life(epoch);
}

void Sealer::begin_life(std::uint64_t epoch) {
    STARLING_CHECK(epoch < kLivesMax);
    life_.epoch = epoch;
    introductions_ = {life_key(swarm_key_, swarm_, life_, nullptr), 0};
    channels_.clear();
    sequence_min_ = 0;
}

Sealer::Channel* Sealer::channel_to(const PublicKey& to) {
    if (const auto known = channels_.find(to); known != channels_.end()) return &known->second;
    const auto secret = pairs_->with(to);
    if (!secret) return nullptr;
    if (channels_.size() >= kSendersMax) {
        const auto gone = channels_.begin();
        sequence_min_ = std::max(sequence_min_, gone->second.sequence);
        channels_.erase(gone);
    }
    const Channel channel{life_key(*secret, swarm_, life_, &to), sequence_min_};
    return &channels_.emplace(to, channel).first->second;
}

bool Sealer::seal(ByteView packet, const PublicKey& to, Bytes& out) {
    STARLING_CHECK(packet.size() >= kHead && packet.size() <= membership::kPacketMax);
    auto* channel = channel_to(to);
    // The last sequence is never used, so that counting never runs into the next life's counters.
    if (channel == nullptr || channel->sequence >= kSequenceMask) return false;
    out.resize(packet.size() + membership::kSealOverhead);
    std::memcpy(out.data(), packet.data(), kHead);
    out[kHead] = kKnown;
    put_big_endian(out.data() + kCounterAt, life_.epoch << kSequenceBits | channel->sequence++);
    encrypt(channel->key, packet.subspan(kHead), kReadable, out);
    return true;
}

bool Sealer::introduce(ByteView packet, ByteView claim, Bytes& out) {
    STARLING_CHECK(
        packet.size() >= kHead && packet.size() + claim.size() <= membership::kPacketMax
    );
    if (introductions_.sequence >= kSequenceMask) return false;
    out.resize(packet.size() + claim.size() + membership::kSealOverhead);
    std::memcpy(out.data(), packet.data(), kHead);
    out[kHead] = kIntroduces;
    const auto counter = life_.epoch << kSequenceBits | introductions_.sequence++;
    put_big_endian(out.data() + kCounterAt, counter);
    std::memcpy(out.data() + kReadable, claim.data(), claim.size());
    encrypt(introductions_.key, packet.subspan(kHead), kReadable + claim.size(), out);
    return true;
}

/// Encrypts the messages behind the first `readable` bytes of `out`, which stand there already.
void Sealer::encrypt(const SwarmKey& key, ByteView messages, std::size_t readable, Bytes& out) {
    const auto nonce = nonce_of(out.data() + kCounterAt);
    auto* context = cipher_.get();
    auto* body = out.data() + readable;
    int size = 0;
    const auto bytes = static_cast<int>(messages.size());
    const auto shown = static_cast<int>(readable);
    const bool sealed =
        EVP_EncryptInit_ex(context, nullptr, nullptr, key.bytes.data(), nonce.data()) == 1 &&
        EVP_EncryptUpdate(context, nullptr, &size, raw(out.data()), shown) == 1 &&
        EVP_EncryptUpdate(context, raw(body), &size, raw(messages.data()), bytes) == 1 &&
        EVP_EncryptFinal_ex(context, raw(body) + bytes, &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, int{kTag}, body + messages.size()) == 1;
    STARLING_CHECK(sealed);
}

/// What the readable part says of where a datagram comes from.
struct Opener::Head {
    std::uint64_t sender = 0;
    std::uint64_t epoch = 0;
    std::uint64_t sequence = 0;
};

Opener::Opener(
    const SwarmKey& key,
    const SwarmId& swarm,
    std::shared_ptr<PairKeys> pairs,
    std::shared_ptr<const membership::Notary> notary
)
    : swarm_key_(key),
      swarm_(swarm),
      pairs_(std::move(pairs)),
      notary_(std::move(notary)),
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

std::optional<ByteView> Opener::open(Instant now, ByteView datagram, const Table& table) {
    if (datagram.size() < kReadable + kTag || datagram.size() > membership::kDatagramMax) {
        return reject(counters_.rejected);
    }
    if (std::memcmp(datagram.data() + kTagAt, swarm_.bytes.data(), kSenderAt - kTagAt) != 0) {
        return reject(counters_.foreign);
    }
    const auto counter = get_big_endian(datagram.data() + kCounterAt);
    const Head head{
        get_big_endian(datagram.data() + kSenderAt),
        counter >> kSequenceBits,
        counter & kSequenceMask};
    if (const auto found = senders_.find(head.sender);
        found != senders_.end() && found->second.front().life.epoch > head.epoch) {
        return reject(counters_.replayed);
    }
    if (datagram[kHead] == kKnown) return open_known(head, datagram, table);
    if (datagram[kHead] == kIntroduces) return open_introduction(now, head, datagram);
    return reject(counters_.rejected);
}

std::optional<ByteView> Opener::open_known(
    const Head& head, ByteView datagram, const Table& table
) {
    const auto packet = ByteView(packet_).first(datagram.size() - membership::kSealOverhead);
    bool replayed = false;
    const auto found = senders_.find(head.sender);
    if (found != senders_.end() && found->second.front().life.epoch == head.epoch) {
        for (auto& channel : found->second) {
            const auto taken = take(channel, head, datagram);
            if (taken == Taken::Yes) return packet;
            replayed = replayed || taken == Taken::Replayed;
        }
    }
    // The table may have heard of this life from others.
    const auto told = table(membership::ShortId(head.sender));
    if (told && told->epoch == head.epoch) {
        const bool tried =
            found != senders_.end() &&
            std::ranges::any_of(found->second, [&](const Channel& channel) {
                return channel.life.epoch == told->epoch && channel.life.salt == told->salt;
            });
        Channel channel{*told, {}, 0, {}, false};
        if (!tried && take(channel, head, datagram) == Taken::Yes) {
            note_life(head.sender, std::move(channel));
            return packet;
        }
    }
    return reject(replayed ? counters_.replayed : counters_.rejected);
}

/// Takes a datagram of form 0, if the tag fits and it has not been here before.
Opener::Taken Opener::take(Channel& channel, const Head& head, ByteView datagram) {
    if (!is_news(channel, head.sequence)) return Taken::Replayed;
    if (!channel.key) {
        const auto secret = pairs_->with(channel.life.key);
        if (!secret) return Taken::Rejected;
        channel.key = life_key(*secret, swarm_, channel.life, &pairs_->self());
    }
    if (!decrypt(*channel.key, datagram, kReadable)) return Taken::Rejected;
    note(channel, head.sequence);
    return Taken::Yes;
}

/// The tag comes first, because it is cheap and a stranger cannot make it; then the signature; and
/// only then is the life noted, which ends all earlier ones.
std::optional<ByteView> Opener::open_introduction(
    Instant now, const Head& head, ByteView datagram
) {
    auto rest = datagram.subspan(kReadable, datagram.size() - kReadable - kTag);
    const auto before = rest.size();
    const auto claim = membership::take_claim(rest, *notary_);
    const auto salt = claim ? membership::salt_of(claim->tail) : std::nullopt;
    if (!salt || claim->subject.prefix64() != head.sender || claim->incarnation.epoch != head.epoch)
        return reject(counters_.rejected);
    const auto claim_bytes = before - rest.size();
    const Life life{claim->key, head.epoch, *salt};
    const auto key = life_key(swarm_key_, swarm_, life, nullptr);
    if (!decrypt(key, datagram, kReadable + claim_bytes)) return reject(counters_.rejected);
    const auto found = senders_.find(head.sender);
    Channel* known = nullptr;
    if (found != senders_.end()) {
        for (auto& channel : found->second) {
            if (channel.life.epoch == life.epoch && channel.life.salt == life.salt &&
                channel.life.key == life.key)
                known = &channel;
        }
    }
    if (known == nullptr) {
        if (!verifications_.take(now)) return reject(counters_.postponed);
        if (!notary_->verify(claim->key, signed_text(*claim, swarm_), claim->signature)) {
            return reject(counters_.forged);
        }
        known = &note_life(head.sender, Channel{life, {}, 0, {}, false});
    }
    if (!note_introduction(datagram)) return reject(counters_.replayed);
    known->introduced = true;
    counters_.introduction_bytes += claim_bytes;
    const auto size = datagram.size() - claim_bytes - membership::kSealOverhead;
    return ByteView(packet_).first(size);
}

/// Remembers a life of a sender in place of its earlier ones.
Opener::Channel& Opener::note_life(std::uint64_t sender, Channel channel) {
    if (senders_.size() >= kSendersMax && !senders_.contains(sender)) {
        senders_.erase(senders_.begin());
    }
    auto& lives = senders_[sender];
    std::erase_if(lives, [&](const Channel& other) {
        return other.life.epoch < channel.life.epoch;
    });
    if (lives.size() >= kLivesPerSender) lives.erase(lives.begin());
    lives.push_back(std::move(channel));
    return lives.back();
}

/// Returns false for an introduction that has been here before. Sequences do not tell, because every
/// member can write an introduction in the name of another.
bool Opener::note_introduction(ByteView datagram) {
    std::uint64_t tag = 0;
    std::memcpy(&tag, datagram.data() + datagram.size() - kTag, sizeof tag);
    if (!introduced_.insert(tag).second) return false;
    if (introductions_.size() < kIntroductionsMax) {
        introductions_.push_back(tag);
    } else {
        introduced_.erase(std::exchange(introductions_[next_introduction_], tag));
        next_introduction_ = (next_introduction_ + 1) % kIntroductionsMax;
    }
    return true;
}

bool Opener::is_news(const Channel& channel, std::uint64_t sequence) {
    if (sequence > channel.newest) {
        return channel.introduced || sequence - channel.newest <= kSequenceRiseMax;
    }
    if (channel.newest - sequence >= kReplayWindow) return false;
    return !channel.seen[sequence % kReplayWindow];
}

void Opener::note(Channel& channel, std::uint64_t sequence) {
    if (sequence > channel.newest) {
        if (sequence - channel.newest >= kReplayWindow) {
            channel.seen.reset();
        } else {
            for (auto skipped = channel.newest + 1; skipped < sequence; ++skipped) {
                channel.seen.reset(skipped % kReplayWindow);
            }
        }
        channel.newest = sequence;
    }
    channel.seen.set(sequence % kReplayWindow);
    channel.introduced = false;
}

bool Opener::decrypt(const SwarmKey& key, ByteView datagram, std::size_t readable) {
    const auto nonce = nonce_of(datagram.data() + kCounterAt);
    const auto messages = datagram.subspan(readable, datagram.size() - readable - kTag);
    std::array<unsigned char, kTag> tag{};
    std::memcpy(tag.data(), datagram.data() + datagram.size() - kTag, kTag);
    std::memcpy(packet_.data(), datagram.data(), kHead);
    auto* context = cipher_.get();
    auto* body = raw(packet_.data() + kHead);
    int size = 0;
    const auto bytes = static_cast<int>(messages.size());
    const auto shown = static_cast<int>(readable);
    return EVP_DecryptInit_ex(context, nullptr, nullptr, key.bytes.data(), nonce.data()) == 1 &&
           EVP_DecryptUpdate(context, nullptr, &size, raw(datagram.data()), shown) == 1 &&
           EVP_DecryptUpdate(context, body, &size, raw(messages.data()), bytes) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, int{kTag}, tag.data()) == 1 &&
           EVP_DecryptFinal_ex(context, body + bytes, &size) > 0;
}

}  // namespace starling::peer
