#pragma once

// Sealing of membership's datagrams with AES-256-GCM.
//
//   offset  bytes  field
//   0       13     version, swarm tag, short id of the sender, as membership wrote them
//   13      1      form: 0 between two that know each other, 1 introduces the sender
//   14      8      counter, big-endian: the life of the sender (28 bits), then a sequence (36)
//   22      ...    form 1 only: the sender's claim, as in a packet
//           ...    the packet's messages, encrypted
//   end     16     tag over all of it
//
// A life is one boot epoch and the salt that its process has drawn. In form 0 each life of a sender
// has one key for each receiver, so only these two can have written a datagram, and a sequence is
// counted for each receiver. In form 1 every member can compute the key. No key sees a nonce twice:
// a copied state directory repeats epochs, but no salt. docs/decisions/0035 has the numbers.
//
// Thread    one

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/rate_limit.hpp"
#include "membership/config.hpp"
#include "membership/messages.hpp"
#include "peer/crypto/pair_keys.hpp"
#include "peer/crypto/swarm_key.hpp"

struct evp_cipher_ctx_st;

namespace starling::peer {

/// A datagram is accepted while its sequence number is less than this below its sender's newest.
inline constexpr std::size_t kReplayWindow = 1024;
/// The newest sequence rises by no more than this at once, unless the sender has introduced itself
/// anew.
inline constexpr std::uint64_t kSequenceRiseMax = std::uint64_t{1} << 16U;
/// Senders that are remembered. Above this an arbitrary one is forgotten, with all its numbers.
inline constexpr std::size_t kSendersMax = 65536;
/// Introductions that are remembered, so that none is taken twice.
inline constexpr std::size_t kIntroductionsMax = 4096;
/// Signatures of introductions that are checked in a second, and at once.
inline constexpr double kIntroductionsPerSecond = 500.0;
inline constexpr double kIntroductionsBurst = 1000.0;
/// Boot epochs stay below this, which allows 268 million restarts.
inline constexpr std::uint64_t kLivesMax = std::uint64_t{1} << 28U;

/// Frees what OpenSSL made.
struct FreeCipher {
    void operator()(evp_cipher_ctx_st* context) const;
};

using Cipher = std::unique_ptr<evp_cipher_ctx_st, FreeCipher>;

/// Returns 16 bytes of the system's randomness, for the whole life of a process.
[[nodiscard]] membership::BootSalt random_boot_salt();

/// One life of one peer.
struct Life {
    membership::PublicKey key{};
    std::uint64_t epoch = 0;
    membership::BootSalt salt{};
};

class Sealer {
public:
    /// Begins the life `epoch`.
    Sealer(
        const SwarmKey& key,
        const SwarmId& swarm,
        std::shared_ptr<PairKeys> pairs,
        const membership::BootSalt& salt,
        std::uint64_t epoch
    );

    /// Seals with the keys of this boot epoch from now on, and counts from 0.
    /// Requires  epoch < kLivesMax, and another epoch than all before
    void begin_life(std::uint64_t epoch);

    [[nodiscard]] std::uint64_t life() const { return life_.epoch; }

    /// Replaces `out` by the packet, sealed for the peer of this key, which knows our life. Returns
    /// false when the key is none of an honest peer, or when no counters are left.
    /// Requires  a packet that membership made
    [[nodiscard]] bool seal(ByteView packet, const membership::PublicKey& to, Bytes& out);

    /// Replaces `out` by the packet, sealed for any member, with our claim in its readable part.
    /// Returns false when this life has no counters left.
    /// Requires  a packet that membership made with room for the claim; the claim of this life
    [[nodiscard]] bool introduce(ByteView packet, ByteView claim, Bytes& out);

private:
    /// The datagrams to one receiver.
    struct Channel {
        SwarmKey key;
        std::uint64_t sequence = 0;
    };

    [[nodiscard]] Channel* channel_to(const membership::PublicKey& to);
    void encrypt(const SwarmKey& key, ByteView messages, std::size_t readable, Bytes& out);

    SwarmKey swarm_key_;
    SwarmId swarm_;
    std::shared_ptr<PairKeys> pairs_;
    Cipher cipher_;
    Life life_;
    Channel introductions_;
    std::unordered_map<membership::PublicKey, Channel, HashKey> channels_;
    /// Where a new channel begins to count: above what the forgotten ones have used.
    std::uint64_t sequence_min_ = 0;
};

/// Datagrams that were not opened, none of which is answered, and introductions.
struct SealCounters {
    std::uint64_t rejected = 0;  ///< not sealed for us by a life that we know, or altered
    std::uint64_t foreign = 0;   ///< another swarm's tag
    std::uint64_t replayed = 0;  ///< seen before, too old or too new to tell, or of an earlier life
    std::uint64_t forged = 0;    ///< introductions whose signature does not fit
    std::uint64_t postponed = 0;  ///< introductions above the signatures that we check in a second
    std::uint64_t introduction_bytes = 0;  ///< of the claims in datagrams that were opened
};

class Opener {
public:
    /// Tells which life of a member the table holds, from a claim whose signature is verified.
    using Table = std::function<std::optional<Life>(const membership::ShortId&)>;

    Opener(
        const SwarmKey& key,
        const SwarmId& swarm,
        std::shared_ptr<PairKeys> pairs,
        std::shared_ptr<const membership::Notary> notary
    );

    /// Returns the packet inside, or nothing when the datagram is rejected. The view is valid until
    /// the next call.
    [[nodiscard]] std::optional<ByteView> open(Instant now, ByteView datagram, const Table& table);

    [[nodiscard]] const SealCounters& counters() const { return counters_; }

private:
    /// One life of one sender, as its datagrams to us show it.
    struct Channel {
        Life life;
        std::optional<SwarmKey> key;  ///< empty before the first datagram of form 0
        std::uint64_t newest = 0;
        std::bitset<kReplayWindow> seen;  ///< indexed by sequence modulo its size
        bool introduced = false;          ///< since the last datagram of form 0
    };

    /// The lives of one sender with the newest epoch. There are two of them while two processes run
    /// with one state directory.
    using Sender = std::vector<Channel>;

    struct Head;
    [[nodiscard]] std::optional<ByteView> open_known(
        const Head& head, ByteView datagram, const Table& table
    );
    [[nodiscard]] std::optional<ByteView> open_introduction(
        Instant now, const Head& head, ByteView datagram
    );
    enum class Taken { Yes, Replayed, Rejected };
    [[nodiscard]] Taken take(Channel& channel, const Head& head, ByteView datagram);
    [[nodiscard]] static bool is_news(const Channel& channel, std::uint64_t sequence);
    static void note(Channel& channel, std::uint64_t sequence);
    Channel& note_life(std::uint64_t sender, Channel channel);
    [[nodiscard]] bool note_introduction(ByteView datagram);
    [[nodiscard]] bool decrypt(const SwarmKey& key, ByteView datagram, std::size_t readable);
    [[nodiscard]] std::optional<ByteView> reject(std::uint64_t& counter);

    SwarmKey swarm_key_;
    SwarmId swarm_;
    std::shared_ptr<PairKeys> pairs_;
    std::shared_ptr<const membership::Notary> notary_;
    Cipher cipher_;
    std::unordered_map<std::uint64_t, Sender> senders_;
    std::vector<std::uint64_t> introductions_;  ///< the leading bytes of their tags, a ring
    std::size_t next_introduction_ = 0;
    std::unordered_set<std::uint64_t> introduced_;  ///< the same, to look up
    RateLimit verifications_{kIntroductionsPerSecond, kIntroductionsBurst};
    std::array<std::byte, membership::kDatagramMax> packet_{};
    SealCounters counters_;
};

}  // namespace starling::peer
