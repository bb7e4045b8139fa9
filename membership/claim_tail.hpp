#pragma once

// The signed tail of what a member says of itself: a few values, each with a type and a length, so
// that later releases can say more (further addresses, relays, grants) without another break. A
// type that we do not know is passed on as it is, because the signature covers it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"

namespace starling::membership {

/// Random bytes that a process draws when it starts. The keys of its datagrams depend on them, so a
/// state directory that was copied repeats nothing.
using BootSalt = std::array<std::uint8_t, 16>;

/// Most bytes of a tail.
inline constexpr std::size_t kTailMax = 128;

enum class TailType : std::uint8_t {
    Salt = 1,  ///< BootSalt
};

/// Returns the tail of a process with this salt.
[[nodiscard]] Bytes make_tail(const BootSalt& salt);

/// Returns whether the bytes are a tail: at most kTailMax, each value whole, the known ones of
/// their length and there only once.
[[nodiscard]] bool is_tail(ByteView bytes);

/// Returns the salt in a tail, if there is one.
///
/// Requires  is_tail(tail)
[[nodiscard]] std::optional<BootSalt> salt_of(ByteView tail);

}  // namespace starling::membership
