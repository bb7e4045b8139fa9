#pragma once

// The parameters of averaging, raw and validated.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"

namespace starling::gossip {

/// Smallest window that measuring may choose.
inline constexpr std::size_t kWindowMin = std::size_t{1} << 20U;
/// Largest window of an initiator, and so the most that a responder parks for one.
inline constexpr std::size_t kWindowMax = std::size_t{16} << 20U;
/// Most chunks in flight as initiator, however small they are.
inline constexpr std::size_t kInFlightMax = 256;

enum class Encoding : std::uint8_t {
    F32 = 0,      ///< the floats themselves
    Exact64 = 1,  ///< 64-bit integers; simulations only
    Bf16 = 2,
    Lattice8 = 3,
    Lattice4 = 4,
};

/// Returns the encoding's name as users write it.
[[nodiscard]] std::string_view to_string(Encoding encoding);

/// Reads f32, bf16, lattice8 or lattice4.
///
/// Errors    Usage
[[nodiscard]] Result<Encoding> parse_encoding(std::string_view text);

/// Returns the encoding that two partners use who wish for these: the finer one, so that a peer
/// that settles, or whose user asks for more, gets what it asks for. Returns nothing when one of
/// them is unknown, or they encode different elements.
[[nodiscard]] std::optional<Encoding> agree(Encoding one, Encoding other);

/// What an exchange does with the parameters of the two peers; docs/protocol/averaging.md says what
/// each keeps. Pull is what a newcomer does, whatever the swarm's rule is.
enum class Rule : std::uint8_t { Pairwise = 0, PushSum = 1, Noloco = 2, None = 3, Pull = 4 };

[[nodiscard]] std::string_view to_string(Rule rule);

/// A rule with its options.
struct Mix {
    Rule rule = Rule::Pairwise;
    /// Noloco: local steps between two outer steps; 0 leaves the choice to --mix-every.
    std::uint32_t steps = 0;
    /// Noloco: alpha is the outer momentum, beta the weight of the pair's progress, gamma the
    /// weight of the distance between the slow weights. Range: 0 <= alpha < 1, 0 < beta <= 2, and
    /// gamma below the bound from which on the slow weights drift apart (NoLoCo, Eq. 74, for groups
    /// of two).
    double alpha = 0.5;
    double beta = 0.7;
    double gamma = 0.7;

    /// Reads `pairwise`, `push-sum`, `none` or `noloco?h=50&alpha=0.5&beta=0.7&gamma=0.7`.
    ///
    /// Errors    Usage
    [[nodiscard]] static Result<Mix> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
};

/// Most parts that --share may cut the parameters into: 0.1 % an exchange.
inline constexpr std::uint32_t kPartsMax = 1000;

/// Reads the share of the parameters that one exchange averages, such as `5%` or `0.05`. Returns
/// the number of parts that they are cut into.
///
/// Errors    Usage
[[nodiscard]] Result<std::uint32_t> parse_share(std::string_view text);

struct AveragerConfig {
    Mix mix;
    /// The elements are cut into so many parts, and each exchange averages one of them. Range 1 to
    /// 1000.
    std::uint32_t parts = 1;
    Encoding encoding = Encoding::F32;
    /// Share of the difference that each side of an even pair adds, in (0, 1/2]; both sides use the
    /// initiator's offer, or less where the responder has less left to go. One above our own is
    /// refused. With exact64 it is 1/2.
    double coefficient = 0.5;
    /// log2 of how many times as heavy one side of a pair may count as the other. Pairs whose weights
    /// differ by more do not keep the weighted sum; that is counted. 0: all pairs are even. Range 0 to
    /// 16.
    std::uint8_t weight_max = 7;
    /// Most unacknowledged payload bytes in flight as initiator. Range 1 B to 16 MiB; one chunk is
    /// always allowed.
    std::size_t window_bytes = std::size_t{4} << 20U;
    /// Whether the window follows each partner's measured rate times round trip, 1 to 16 MiB, from
    /// its second exchange on.
    bool adapt_window = false;
    /// The seed that all peers of a swarm share, from which begin_round pairs them, and how long a
    /// peer waits for the partner of a round to come there, too. Range of the wait 1 ms to 10 min.
    std::uint64_t sync_seed = 0;
    Duration sync_wait = std::chrono::seconds(10);
    /// Deadline = base + bytes of both directions / measured rate * slack, for the whole exchange
    /// and, with the bytes of one chunk, without any progress. An Open without an answer ends after
    /// the base alone. Range 1 ms to 10 min.
    Duration deadline_base = std::chrono::seconds(2);
    /// Range 1 to 100.
    double deadline_slack = 4.0;
    /// Assumed rate before anything was measured, bytes per second. Range 1e3 to 1e12.
    double initial_rate = 4e6;
    /// Largest distance of a partner's chunk from ours that is averaged, in units of our chunk's
    /// norm plus that of as many ones; 0 takes any. Ten is far beyond what training drives apart,
    /// and far below what a hostile partner needs to spoil a model at once. Range 0 or 1 to 1e6.
    double clip = 10.0;
    /// After so many breaches of the protocol without a committed exchange in between, a partner is
    /// barred for a while; 0 bars nobody. Range 0 to 1000.
    std::uint32_t strikes = 3;
    /// A chunk that the trainer has locked is tried again after this long. Range 1 us to 1 s.
    Duration retry_locked = std::chrono::microseconds(500);

    /// Errors    Usage, naming the parameter, its value and its range
    [[nodiscard]] Result<void> validate() const;
};

}  // namespace starling::gossip
