#pragma once

// The plain values of averaging that its parts and its driver share: frames to send, how an
// exchange ended and why, and what is counted.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/config.hpp"

namespace starling::gossip {

/// Whether a frame may overtake others for the same partner, over another stream. Chunks and their
/// replies may, and may be overtaken: each names its exchange and its chunk, acknowledgements only
/// grow, and an exchange commits only when it has all of them.
enum class Passage : std::uint8_t {
    InOrder,
    Offer,  ///< a chunk of the exchange that we initiate
    Reply,  ///< an answer in the exchange that the partner initiates
};

/// One frame for a partner. At most 256 KiB plus a small header.
struct Outgoing {
    PeerId to;
    Bytes frame;
    Passage passage = Passage::InOrder;
};

enum class Outcome : std::uint8_t {
    Committed,     ///< both sides applied every chunk
    Busy,          ///< the partner serves somebody else
    Collapsed,     ///< our request crossed the partner's; theirs goes on
    Refused,       ///< layout, encoding or coefficient do not fit
    TimedOut,      ///< the deadline passed
    Disconnected,  ///< the stream broke, or membership says that the partner is gone
    Violated,      ///< the partner broke the protocol
};

[[nodiscard]] std::string_view to_string(Outcome outcome);

/// What was wrong when an exchange ended as Violated or TimedOut.
enum class Misdeed : std::uint8_t {
    None,
    Malformed,  ///< a frame that does not parse, or of another version
    Size,       ///< a chunk that does not exist, or a payload that does not fit it
    Values,     ///< a NaN or an infinity
    Norm,       ///< further from our chunk than the clip allows
    Order,      ///< an answer to nothing, or a commit before the end
    Lie,        ///< acknowledges what we never sent, or answers coarser than we asked
    Flood,      ///< more than a window, without reading what we answer
    Stall,      ///< no progress until the deadline; slow is not hostile, so this is no strike
    Own,        ///< our own chunk holds a NaN or an infinity; no strike either
};

inline constexpr std::size_t kMisdeeds = 10;

/// Returns one word, as metrics name it.
[[nodiscard]] std::string_view to_string(Misdeed misdeed);

/// Whether a misdeed counts against the partner.
[[nodiscard]] bool is_strike(Misdeed misdeed);

/// How an exchange ended, and by what where somebody is to blame for it.
struct Ending {
    Outcome outcome = Outcome::Committed;
    Misdeed misdeed = Misdeed::None;
};

struct ExchangeEvent {
    ExchangeId id;
    PeerId partner;
    bool initiator = false;
    Rule rule = Rule::Pairwise;
    Outcome outcome = Outcome::Committed;
    Misdeed misdeed = Misdeed::None;
    std::size_t chunks_applied = 0;
    /// Chunks that we applied without knowing that the partner did too. Only a responder can have
    /// any: it applies before it replies, and an initiator applies replies only.
    std::size_t chunks_half_applied = 0;
    /// ||x - y|| / ||x|| over all parameter chunks before mixing; valid for Committed.
    double relative_distance = 0.0;
    std::uint64_t bytes = 0;  ///< payload bytes of both directions
    Duration duration{};
};

struct AveragerCounters {
    std::uint64_t started = 0;  ///< as initiator
    std::uint64_t committed = 0;
    std::uint64_t busy = 0;
    std::uint64_t collapsed = 0;
    std::uint64_t aborted = 0;              ///< timed out, disconnected or violated, in either role
    std::uint64_t refused = 0;              ///< our requests that a partner refused
    std::uint64_t half_applied_chunks = 0;  ///< the ledger: sum of chunks_half_applied
    std::uint64_t malformed = 0;
    /// Frames of unknown or finished exchanges, and repeated ones: ignored.
    std::uint64_t stale = 0;
    std::uint64_t payload_bytes = 0;
    std::uint64_t refused_values = 0;  ///< payloads with a NaN or an infinity: never applied
    std::array<std::uint64_t, kMisdeeds> misdeeds{};  ///< by Misdeed
    std::uint64_t refusals = 0;                       ///< requests of partners that we refused
    std::uint64_t asked_again = 0;  ///< offers that we could not decode: they come again
    /// Times that we began to count in the sum after standing outside, as a ghost.
    std::uint64_t promotions = 0;
    std::uint64_t weight_changes = 0;  ///< of our own: from then on another weighted sum is kept
    /// Pairs whose weights differ by more than the bound, so that they move the weighted sum.
    std::uint64_t weights_clipped = 0;
    /// Times that a partner's weight had changed too often to be believed: such a pair is even.
    std::uint64_t weights_distrusted = 0;
    std::uint64_t fallbacks = 0;  ///< rounds whose partner did not come, or could not
};

}  // namespace starling::gossip
