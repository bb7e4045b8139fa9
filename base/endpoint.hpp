#pragma once

// An IP address with a port, as a plain value: state machines can name addresses without a socket
// library. IPv4 is stored as an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2).

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace starling {

struct Endpoint {
    std::array<std::uint8_t, 16> address{};
    std::uint16_t port = 0;

    auto operator<=>(const Endpoint&) const = default;

    /// Makes an IPv4 endpoint from a number in host order: 0x7f000001 is 127.0.0.1.
    [[nodiscard]] static Endpoint v4(std::uint32_t address, std::uint16_t port);

    [[nodiscard]] bool is_v4() const;
    [[nodiscard]] bool is_loopback() const;

    /// Returns whether this is 0.0.0.0 or ::. One can listen there but not dial it.
    [[nodiscard]] bool is_unspecified() const;

    /// Returns `1.2.3.4:5` or `[::1]:5`.
    [[nodiscard]] std::string to_string() const;

    /// Parses what to_string() prints: numeric addresses only. peer/machine/resolve takes names.
    /// Errors    BadFormat
    [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
};

}  // namespace starling

template <>
struct std::hash<starling::Endpoint> {
    std::size_t operator()(const starling::Endpoint& endpoint) const noexcept;
};
