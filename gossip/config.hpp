#pragma once

// The parameters of averaging, raw and validated.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"

namespace starling::gossip {

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

/// Reads f32, bf16, lattice8 or lattice4. Errors Usage
[[nodiscard]] Result<Encoding> parse_encoding(std::string_view text);

/// Returns what two partners use that wish for one encoding each: the finer one, so that a peer
/// which settles, or which was told so, gets what it asks for. Nothing when one of them is unknown,
/// or they encode different elements.
[[nodiscard]] std::optional<Encoding> agree(Encoding one, Encoding other);

struct AveragerConfig {
    Encoding encoding = Encoding::F32;
    /// Share of the difference that each side adds, in (0, 1/2]; both sides use the initiator's
    /// offer if it is no larger than their own, else they refuse. Exact64 knows 1/2 only.
    double coefficient = 0.5;
    /// Unacknowledged payload bytes in flight as initiator. Range 1 B to 16 MiB; one chunk is
    /// always allowed.
    std::size_t window_bytes = std::size_t{4} << 20U;
    /// Deadline = base + bytes of both directions / measured rate * slack. An Open without an
    /// answer, and an exchange without progress, end after this base. Range 1 ms to 10 min.
    Duration deadline_base = std::chrono::seconds(2);
    /// Range 1 to 100.
    double deadline_slack = 4.0;
    /// Assumed rate before anything was measured, bytes per second. Range 1e3 to 1e12.
    double initial_rate = 4e6;
    /// A chunk that the trainer has locked is tried again after this long. Range 1 us to 1 s.
    Duration retry_locked = std::chrono::microseconds(500);

    /// Errors    Usage, naming the parameter, its value and its range
    [[nodiscard]] Result<void> validate() const;
};

}  // namespace starling::gossip
