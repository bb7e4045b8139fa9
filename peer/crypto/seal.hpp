#pragma once

// Sealing of membership's datagrams with AES-256-GCM.
//
//   offset  bytes  field
//   0       13     version, swarm tag, short id of the sender, as membership wrote them
//   13      8      counter, big-endian: the life of the sender (28 bits), then a sequence (36)
//   21      ...    the packet's messages, encrypted
//   end     16     tag over all of it
//
// Each life of each sender has a key of its own, HKDF-SHA256(swarm key, swarm id, short id, life),
// and counters never repeat within a life, so no key sees a nonce twice. A life is one boot epoch;
// the state directory makes sure that epochs only rise. docs/decisions/0010 has the sketch.
//
// Thread    one

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "membership/config.hpp"
#include "peer/crypto/swarm_key.hpp"

struct evp_cipher_ctx_st;

namespace starling::peer {

/// A datagram is accepted while its sequence number is less than this below its sender's newest.
inline constexpr std::size_t kReplayWindow = 1024;
/// Senders that are remembered. Above this an arbitrary one is forgotten, with all its numbers.
inline constexpr std::size_t kSendersMax = 65536;
/// Boot epochs stay below this, which allows 268 million restarts.
inline constexpr std::uint64_t kLivesMax = std::uint64_t{1} << 28U;

/// Frees what OpenSSL made.
struct FreeCipher {
    void operator()(evp_cipher_ctx_st* context) const;
};

using Cipher = std::unique_ptr<evp_cipher_ctx_st, FreeCipher>;

class Sealer {
public:
    /// Begins the life `epoch`.
    Sealer(const SwarmKey& key, const SwarmId& swarm, const PeerId& self, std::uint64_t epoch);

    /// Seals with the key of this boot epoch from now on, and counts from 0.
    /// Requires  epoch < kLivesMax; the caller has made sure, as far as it can, that nobody has
    ///           sealed with our id under this epoch before
    void begin_life(std::uint64_t epoch);

    [[nodiscard]] std::uint64_t life() const { return life_; }

    /// Replaces `out` by the sealed packet. Returns false when this life has no counters left;
    /// nothing may be sent then.
    /// Requires  a packet that membership made
    [[nodiscard]] bool seal(ByteView packet, Bytes& out);

private:
    SwarmKey key_;
    SwarmId swarm_;
    PeerId self_;
    Cipher cipher_;
    std::uint64_t life_ = 0;
    std::uint64_t counter_ = 0;
    std::uint64_t counter_end_ = 0;
};

/// Datagrams that were not opened. None of them is answered.
struct SealCounters {
    std::uint64_t rejected = 0;  ///< not sealed with this swarm's key, or altered
    std::uint64_t foreign = 0;   ///< another swarm's tag
    std::uint64_t replayed = 0;  ///< seen before, too old to tell, or of an earlier life
};

class Opener {
public:
    Opener(const SwarmKey& key, const SwarmId& swarm);

    /// Returns the packet inside, or nothing when the datagram is rejected. The view is valid until
    /// the next call.
    [[nodiscard]] std::optional<ByteView> open(ByteView datagram);

    [[nodiscard]] const SealCounters& counters() const { return counters_; }

private:
    /// One life of one sender.
    struct Sender {
        std::uint64_t life = 0;
        std::uint64_t newest = 0;
        std::bitset<kReplayWindow> seen;  ///< indexed by sequence modulo its size
        SwarmKey key;
    };

    [[nodiscard]] static bool is_news(const Sender& sender, std::uint64_t sequence);
    static void note(Sender& sender, std::uint64_t sequence);
    [[nodiscard]] bool decrypt(const SwarmKey& key, ByteView datagram);
    [[nodiscard]] std::optional<ByteView> reject(std::uint64_t& counter);

    SwarmKey key_;
    SwarmId swarm_;
    Cipher cipher_;
    std::unordered_map<std::uint64_t, Sender> senders_;
    std::array<std::byte, membership::kDatagramMax> packet_{};
    SealCounters counters_;
};

}  // namespace starling::peer
