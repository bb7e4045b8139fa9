#pragma once

// Arithmetic on numbers from outside: lengths, offsets and totals that a peer or a file states. What
// would wrap around has no result. Decoders use these instead of + - *, so that no check of a limit is
// made on a number that has wrapped already.

#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <type_traits>

namespace starling {

/// Return the exact result, or nothing where the type cannot hold it.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, std::type_identity_t<T> b) {
    if (b > std::numeric_limits<T>::max() - a) return std::nullopt;
    return static_cast<T>(a + b);
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_sub(T a, std::type_identity_t<T> b) {
    if (b > a) return std::nullopt;
    return static_cast<T>(a - b);
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, std::type_identity_t<T> b) {
    if (b != 0 && a > std::numeric_limits<T>::max() / b) return std::nullopt;
    return static_cast<T>(a * b);
}

/// Returns whether `size` bytes at `offset` lie within `total` bytes.
[[nodiscard]] constexpr bool lies_within(std::size_t offset, std::size_t size, std::size_t total) {
    const auto room = checked_sub(total, offset);
    return room && size <= *room;
}

/// Returns whether `count` items of `each` bytes lie within `total` bytes.
[[nodiscard]] constexpr bool holds_items(std::size_t total, std::size_t count, std::size_t each) {
    const auto needed = checked_mul(count, each);
    return needed && *needed <= total;
}

}  // namespace starling
