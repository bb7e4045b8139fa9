#pragma once

// Where to listen so that others can dial us, and which address to announce. Without a key the default
// is an address of loopback, which other machines cannot dial: a peer that announced it to them would be
// called failed again and again, and would be alone when the seed dies that it dials itself.
//
// Thread    any; it asks the kernel for routes and sends nothing

#include <optional>
#include <vector>

#include "base/endpoint.hpp"

namespace starling::peer {

struct ListeningPlace {
    Endpoint at;
    std::optional<Endpoint> because{};  ///< who is on another machine, if `at` is not as wanted
};

/// Returns `wanted`; or, if that is on loopback and one of `others` is not, the address of this
/// machine from which packets to that one leave, with the port of `wanted`.
[[nodiscard]] ListeningPlace listening_place(
    const Endpoint& wanted, const std::vector<Endpoint>& others
);

/// Returns the address of this machine that others most likely reach, with this port: the one from which
/// packets to the first of `others` leave that is on another machine, or packets to the internet; or any
/// of a network. Nothing on a machine without one.
[[nodiscard]] std::optional<Endpoint> outward_address(
    std::uint16_t port, const std::vector<Endpoint>& others
);

}  // namespace starling::peer
