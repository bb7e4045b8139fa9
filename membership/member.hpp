#pragma once

// The plain values of membership that its parts and its driver share: what is known about a member,
// what the driver shall send, and what it is told.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "membership/notary.hpp"

namespace starling::membership {

enum class MemberState : std::uint8_t { Alive = 0, Suspect = 1, Failed = 2, Left = 3 };

/// What the table knows about one member.
struct Member {
    PeerId id;
    Endpoint address;  ///< where it says that it listens, UDP and TCP alike
    Incarnation incarnation;
    MemberState state = MemberState::Alive;
    /// Whether datagrams from us to the member arrive, and from the member to us. One becomes false
    /// after three direct probes in a row that only a helper or a stream answered. A member that is
    /// silent by UDP has udp_in false; whether ours reach it shows at its end.
    bool udp_out = true;
    bool udp_in = true;
    Instant since;  ///< when `state` last changed, by our clock
};

/// One datagram to send, before it is sealed. `bytes` never exceeds kPacketMax.
struct Datagram {
    Endpoint to;
    Bytes bytes;
    /// Whom it is for, if that member knows our present life and its key is known here. Else the
    /// datagram has to introduce us: it carries Swim::introduction() in its readable part, and
    /// `bytes` leave room for that.
    std::optional<PublicKey> receiver{};
};

/// Tables are compared in slices of the id space; a set of slices has one bit for each.
using Slices = std::uint64_t;
inline constexpr std::size_t kSlices = 64;
inline constexpr Slices kAllSlices = ~Slices{0};

/// Asks the driver for one conversation over a stream. Unless it is a Ping, the driver sends the
/// pages that `pages_for` makes of it and passes each page that comes back to `handle_push_pull`.
/// It need not report failures: the next interval tries again.
struct StreamRequest {
    enum class Kind : std::uint8_t {
        PushPull,  ///< both sides send their whole tables
        Compare,   ///< we send digests of our slices; the answer has the slices that differ
        Tell,      ///< we send our slices that still differ then, and want no answer
        Ping,      ///< we ask whether the peer lives; the answer goes to `handle_stream_pong`
    };

    PeerId peer;
    Endpoint to;
    Kind kind = Kind::PushPull;
    Slices slices = kAllSlices;  ///< of Tell: those to send
    Slices refresh = 0;          ///< of Compare: those to be told even where they agree

    [[nodiscard]] bool wants_answer() const { return kind != Kind::Tell; }
};

/// What the sender of a page gets if it wants an answer: the driver sends the pages that
/// `pages_for` makes of this. A page that wants none costs nothing more.
struct StreamAnswer {
    Slices slices = kAllSlices;  ///< those to send
    bool compares = false;       ///< ends with the digests of our slices, as the page asked for
    /// Statements in the page whose signature does not fit. An honest member passes none on, so
    /// whoever sent the page over a stream that it has signed is a liar.
    std::uint32_t forged = 0;
};

enum class EventKind : std::uint8_t {
    Up,         ///< a member is new, or is back after it had failed or left
    Suspected,  ///< it did not answer; it may still refute
    Refuted,    ///< a suspect showed that it lives
    Failed,     ///< declared failed
    Left,       ///< said goodbye
    Moved,      ///< alive at another address
    Record,     ///< its progress record is newer
    Contested,  ///< of ourselves: another process runs with our identity, and is the younger
    Displaced,  ///< of ourselves: another process runs with our identity; this one has to end
};

struct Event {
    EventKind kind = EventKind::Up;
    PeerId id;
};

}  // namespace starling::membership
