#pragma once

// What members tell each other, as plain structs. Bytes: codec.hpp and docs/protocol/membership.md.

#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "membership/claim_tail.hpp"
#include "membership/member.hpp"
#include "membership/notary.hpp"

namespace starling::membership {

/// The first eight bytes of a PeerId: enough to find a member in a table, and to derive the key of
/// its datagrams.
struct ShortId {
    std::uint64_t value = 0;

    constexpr ShortId() = default;

    explicit constexpr ShortId(std::uint64_t prefix) : value(prefix) {}

    // Implicit on purpose: wherever a short id will do, the whole one does.
    ShortId(const PeerId& id) : value(id.prefix64()) {}  // NOLINT(google-explicit-constructor)

    auto operator<=>(const ShortId&) const = default;
};

/// Returns the lowest id that begins with these bytes.
[[nodiscard]] inline PeerId first_with(const ShortId& id) {
    PeerId first;
    for (std::size_t i = 0; i < 8; ++i) {
        first.bytes[i] = static_cast<std::uint8_t>(id.value >> (56 - 8 * i));
    }
    return first;
}

/// Asks `target`, and nobody else who may listen at its address by now, to answer.
struct Ping {
    std::uint64_t probe = 0;  ///< random; the ack repeats it
    PeerId target;

    bool operator==(const Ping&) const = default;
};

/// Asks the receiver to ping `target` and to pass the ack on.
struct PingRequest {
    std::uint64_t probe = 0;
    PeerId target;

    bool operator==(const PingRequest&) const = default;
};

struct Ack {
    std::uint64_t probe = 0;

    bool operator==(const Ack&) const = default;
};

/// A helper says that it is alive itself, and that the target has not answered it so far.
struct Nack {
    std::uint64_t probe = 0;

    bool operator==(const Nack&) const = default;
};

/// Digest of the sender's table (MemberTable::digest); beside every ping, ack and nack.
struct TableDigest {
    std::uint64_t value = 0;

    bool operator==(const TableDigest&) const = default;
};

/// One statement about one member. Alive and Left are its owner's own words: they carry its address
/// and are signed, over the swarm's id as well, so nobody can move or raise a member but itself.
/// Suspect and Failed are accusations: they name an incarnation that the owner has claimed, and the
/// accuser.
struct Statement {
    PeerId subject;
    Incarnation incarnation;
    MemberState state = MemberState::Alive;
    Endpoint address;       ///< of Alive and Left
    PeerId accuser;         ///< of Suspect and Failed
    PublicKey key{};        ///< of Alive and Left: the subject's; on the wire in place of its id
    Bytes tail;             ///< of Alive and Left: claim_tail.hpp
    Signature signature{};  ///< of Alive and Left

    bool operator==(const Statement&) const = default;
};

/// True for what others say about a member; false for what it says itself.
[[nodiscard]] constexpr bool is_accusation(MemberState state) {
    return state == MemberState::Suspect || state == MemberState::Failed;
}

/// Returns what the owner of an Alive or Left statement signs.
[[nodiscard]] Bytes signed_text(const Statement& statement, const SwarmId& swarm);

/// "I had declared it failed at this incarnation and have forgotten it since". Only its subject and
/// those who hold the subject alive act on it; nobody learns of a member from it.
struct Forgotten {
    PeerId subject;
    Incarnation incarnation;

    bool operator==(const Forgotten&) const = default;
};

/// "I do not know you", to whoever is meant.
struct Stranger {
    ShortId subject;

    bool operator==(const Stranger&) const = default;
};

/// Digests of the kSlices slices of the sender's table; their exclusive or is its TableDigest. A
/// page with these and its sender's claim asks for the slices that differ. An answer ends with the
/// digests of the responder, so that the peer that asked sees what it has to tell in return.
struct SliceDigests {
    bool answer = false;
    std::vector<std::uint64_t> values;  ///< kSlices; a vector keeps other messages small

    bool operator==(const SliceDigests&) const = default;
};

/// What a peer publishes about itself. The larger (epoch, version) wins. What the swarm decides from
/// is signed; what comes in between is for people to look at.
struct ProgressRecord {
    PeerId owner;
    std::uint64_t epoch = 0;
    std::uint64_t version = 0;
    Bytes bytes;
    bool is_signed = false;
    BootSalt salt{};        ///< of a signed one: that of the process that wrote it
    PublicKey key{};        ///< of a signed one: the owner's; on the wire in place of its id
    Signature signature{};  ///< of a signed one

    bool operator==(const ProgressRecord&) const = default;
};

/// Returns what the owner of a signed record signs.
[[nodiscard]] Bytes signed_text(const ProgressRecord& record, const SwarmId& swarm);

using Message = std::variant<
    Ping,
    PingRequest,
    Ack,
    Nack,
    TableDigest,
    Statement,
    Forgotten,
    Stranger,
    SliceDigests,
    ProgressRecord>;

/// One datagram or one page of a push/pull.
struct Packet {
    ShortId sender;
    std::vector<Message> messages;

    bool operator==(const Packet&) const = default;
};

}  // namespace starling::membership
