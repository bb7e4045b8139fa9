#pragma once

// What makes a stream secret: TLS 1.3 (RFC 8446) with a pre-shared key, as a machine without a socket.
// Ciphertext goes in and comes out as bytes, so that it can be fuzzed and tested without a network.
//
// Whoever holds the key gets in, and nobody else learns more than that somebody listens. Each session
// has fresh keys from an X25519 exchange, so recordings stay closed when the swarm key leaks later.
// Certificates play no part: who the other side is, it says in its Hello, with a signature over
// binding(), which no other session has (docs/decisions/0034).
//
// Thread    network

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "peer/crypto/swarm_key.hpp"

struct ssl_st;

namespace starling::peer {

/// Under which key a session was opened.
enum class Admission : std::uint8_t {
    Member,  ///< the swarm's: both sides may become partners
    Guest,   ///< the one that everybody knows: it opens the descriptor of an open swarm
};

/// What one side opens sessions with.
struct ChannelKeys {
    /// The swarm's key for streams; none: not known yet.
    std::optional<SwarmKey> member;
    /// An acceptor lets guests in; a dialler is one.
    bool guests = false;
};

/// Returns the keys of a swarm with a secret key. They do not depend on its id, so that a newcomer that
/// was given the key needs nothing else.
[[nodiscard]] ChannelKeys keyed_channel(const SwarmKey& key);

/// Returns the keys of an open swarm, which anybody can compute from its id.
[[nodiscard]] ChannelKeys open_channel(const SwarmId& swarm);

/// Returns those of a newcomer, or a founder, that knows neither key nor swarm.
[[nodiscard]] ChannelKeys guest_channel();

enum class ChannelRole : std::uint8_t { Dialler, Acceptor };

/// A value that both sides of one session share and no other session has.
using ChannelBinding = std::array<std::uint8_t, 32>;

class Channel {
public:
    /// Largest plaintext of one record, and what a record adds to it at most.
    static constexpr std::size_t kRecordMax = 16384;
    static constexpr std::size_t kRecordOverhead = 22;

    /// A dialler has its first message to send at once.
    /// Requires  of a dialler, `keys` with a member key or of a guest
    Channel(ChannelRole role, const ChannelKeys& keys);
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    /// Returns where ciphertext that came in belongs. Before the session is open it is 4 KiB, and
    /// no message makes it grow.
    [[nodiscard]] std::span<std::byte> room();

    /// Says that so many bytes were put into room(), and goes on with the handshake.
    /// Errors    Refused (the two sides hold different keys), BadFormat (no TLS 1.3 with a pre-shared
    ///           key). outgoing() may hold an alert for the other side then.
    [[nodiscard]] Result<void> filled(std::size_t bytes);

    /// Returns whether the handshake is over: plaintext may pass.
    [[nodiscard]] bool open() const { return open_; }

    /// Requires  open()
    [[nodiscard]] const ChannelBinding& binding() const { return binding_; }

    /// Requires  open()
    [[nodiscard]] Admission admission() const { return admission_; }

    /// Writes plaintext that came in to the front of `into`. Returns how much: less than there is room
    /// for when more ciphertext must come first; up to one record of that may be here already.
    /// Requires  open()
    /// Errors    BadFormat (altered, or closed by the other side)
    [[nodiscard]] Result<std::size_t> read(std::span<std::byte> into);

    /// Seals plaintext into outgoing(). Small views share a record.
    /// Requires  open()
    void seal(const std::vector<ByteView>& plaintext);

    /// Returns the ciphertext to send next. It stays where it is until all of it is sent().
    [[nodiscard]] ByteView outgoing();

    /// Returns how much ciphertext waits to be sent.
    [[nodiscard]] std::size_t waiting() const { return leaving_.size() - sent_ + out_.size(); }

    void sent(std::size_t bytes);

private:
    friend struct ChannelCallbacks;

    struct Free {
        void operator()(ssl_st* session) const;
    };

    [[nodiscard]] Result<void> shake();
    [[nodiscard]] Fault why_not();
    void seal_record();
    void write(ByteView plaintext);

    ChannelKeys keys_;
    std::unique_ptr<ssl_st, Free> session_;
    Bytes in_;                ///< ciphertext from the socket
    std::size_t in_at_ = 0;   ///< what the session has taken
    std::size_t in_end_ = 0;  ///< what has come
    Bytes out_;               ///< ciphertext for the socket
    Bytes leaving_;           ///< what a write in flight may read
    std::size_t sent_ = 0;    ///< of it
    Bytes joint_;             ///< small pieces of plaintext that share the next record
    bool open_ = false;
    Admission admission_ = Admission::Member;
    ChannelBinding binding_{};
};

}  // namespace starling::peer
