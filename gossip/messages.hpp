#pragma once

// The frames of averaging as plain values. docs/protocol/averaging.md has their bytes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "gossip/config.hpp"

namespace starling::gossip {

inline constexpr std::uint8_t kVersionMajor = 1;
inline constexpr std::uint8_t kVersionMinor = 3;

/// Values of a few parameters, at places that both partners draw from the id of their exchange; NaN
/// where one could not be read.
inline constexpr std::size_t kSamples = 48;
using Samples = std::array<float, kSamples>;

/// Initiator: let us average. Nothing else is sent before the answer, so a partner whose layout
/// differs refuses before any payload.
struct Open {
    ExchangeId id;
    LayoutHash layout;
    std::uint32_t chunk_count = 0;
    double coefficient = 0.5;
    Encoding encoding = Encoding::F32;  ///< our wish; one that they do not know is refused
    Rule rule = Rule::Pairwise;
    std::uint32_t parts = 1;  ///< the parameters are cut into so many
    std::uint32_t part = 0;   ///< the one that is averaged now
    std::uint64_t round = 0;  ///< the round whose exchange this is, or 0: it belongs to none
    std::int8_t weight = 0;   ///< log2 of ours, where weight_max is not 0
    /// log2 of how many times as heavy one side may count as the other; 0: we have no weight, so the
    /// pair is even. So it is with a partner that does not know weights.
    std::uint8_t weight_max = 0;
    double left = 1.0;  ///< at most this share of the difference may we go; a coefficient, if even
    std::uint8_t minor = 2;  ///< of the initiator's protocol: the frame's, not a field
};

/// Responder: send your chunks.
struct Accept {
    ExchangeId id;
    Encoding encoding = Encoding::F32;  ///< the finer of both sides' wishes: both use it
    double spread = 0.0;                ///< how far the responder is from its partners, relatively
    std::uint8_t minor = 2;             ///< of the responder's protocol: the frame's, not a field
    double coefficient = 0.5;           ///< what both use: the least that either side can go
    std::int8_t weight = 0;             ///< as in Open, of the responder
    std::uint8_t weight_max = 0;        ///< as in Open, of the responder
    std::int8_t tilt = 0;               ///< log2 of how many times as heavy the initiator counts
    /// Of the responder, where a lattice needs them: the initiator sees from them how far apart the two
    /// are now. A frame with samples is of minor version 3, one without of 2.
    std::optional<Samples> samples = std::nullopt;
};

/// Responder: not now.
struct Busy {
    ExchangeId id;
    bool collapsed = false;  ///< our own request crossed yours, and it goes on instead
};

enum class RefuseReason : std::uint8_t {
    Layout = 0,
    Encoding = 1,
    Coefficient = 2,
    Rule = 3,
    Strikes = 4,  ///< you have broken the protocol too often
    Round = 5,    ///< your round is over
};

/// Responder: never, as we are.
struct Refuse {
    ExchangeId id;
    RefuseReason reason = RefuseReason::Layout;
    std::uint64_t round = 0;  ///< with reason Round: the one that we are in
};

/// Initiator: chunk `index` of mine.
struct Chunk {
    ExchangeId id;
    std::uint32_t index = 0;
    std::uint32_t elements = 0;
    std::uint32_t acked = 0;  ///< replies that the initiator has applied so far
    ByteView payload;         ///< lives as long as the frame it was decoded from
};

/// Responder: chunk `index` of mine as it was before I added my share; or, in an encoding that
/// knows such replies, that the offer could not be decoded and should come again.
struct ChunkReply {
    ExchangeId id;
    std::uint32_t index = 0;
    std::uint32_t elements = 0;
    ByteView payload;
};

/// Initiator: I have applied every reply.
struct Commit {
    ExchangeId id;
};

enum class AbortReason : std::uint8_t { TimedOut = 0, Violated = 1, Gone = 2 };

/// Either side: it is over. From the initiator, `acked` closes the responder's ledger exactly.
struct Abort {
    ExchangeId id;
    AbortReason reason = AbortReason::TimedOut;
    std::uint32_t acked = 0;
};

/// A kind that a later minor version added: skipped.
struct Unknown {
    std::uint8_t kind = 0;
};

using Message = std::variant<Open, Accept, Busy, Refuse, Chunk, ChunkReply, Commit, Abort, Unknown>;

}  // namespace starling::gossip
