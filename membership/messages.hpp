#pragma once

// What members tell each other, as plain structs. Bytes: codec.hpp and docs/protocol/membership.md.

#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "membership/swim.hpp"

namespace starling::membership {

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

/// A helper's word that it is alive and that the target has not answered it so far.
struct Nack {
    std::uint64_t probe = 0;

    bool operator==(const Nack&) const = default;
};

/// Digest of the sender's table (MemberTable::digest); beside every ping, ack and nack.
struct TableDigest {
    std::uint64_t value = 0;

    bool operator==(const TableDigest&) const = default;
};

/// One claim about one member. Unlike in memberlist every claim carries the address, which is a
/// function of the incarnation: so claims merge to the same table in any order of arrival.
struct Statement {
    PeerId subject;
    Incarnation incarnation;
    MemberState state = MemberState::Alive;
    Endpoint address;
    PeerId accuser;  ///< who says so; on the wire only for Suspect and Failed

    bool operator==(const Statement&) const = default;
};

/// "I had declared it failed at this incarnation and have forgotten it since", or, at incarnation
/// (0, 0), "I do not know you". Only its subject and those who hold the subject alive act on it;
/// nobody learns of a member from it.
struct Forgotten {
    PeerId subject;
    Incarnation incarnation;

    bool operator==(const Forgotten&) const = default;
};

/// What a peer publishes about itself. The larger (epoch, version) wins.
struct ProgressRecord {
    PeerId owner;
    std::uint64_t epoch = 0;
    std::uint64_t version = 0;
    Bytes bytes;

    bool operator==(const ProgressRecord&) const = default;
};

using Message =
    std::variant<Ping, PingRequest, Ack, Nack, TableDigest, Statement, Forgotten, ProgressRecord>;

/// One datagram or one page of a push/pull.
struct Packet {
    PeerId sender;
    std::vector<Message> messages;

    bool operator==(const Packet&) const = default;
};

}  // namespace starling::membership
