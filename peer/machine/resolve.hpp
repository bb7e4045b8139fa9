#pragma once

// Turns host names into addresses.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"

namespace starling::peer {

class Loop;

/// Resolves HOST:PORT to all its addresses. Blocks during the look-up, which may take minutes: the
/// network thread uses the functions below.
/// Errors    BadFormat, Unreachable
[[nodiscard]] Result<std::vector<Endpoint>> resolve(const std::string& host_port);

/// Resolves HOST:PORT to its first address, and runs the loop meanwhile: a signal is heard. Blocks
/// for `patience` at most.
/// Errors    BadFormat, Unreachable (also: no answer in time), Cancelled (the loop was stopped)
/// Thread    network
[[nodiscard]] Result<Endpoint> resolve_within(
    Loop& loop, const std::string& host_port, Duration patience
);

/// Returns the address of this machine from which packets to `to` leave, with port 0; nothing if no
/// route leads there. Sends nothing.
[[nodiscard]] std::optional<Endpoint> local_address_towards(const Endpoint& to);

/// Returns an address of this machine, with port 0, that machines on its networks can dial: not of
/// loopback, nor one that means something else on each link. IPv4 before IPv6. Nothing on a machine
/// without a network.
[[nodiscard]] std::optional<Endpoint> network_address();

/// Like resolve(), but returns at once. Calls `done` once, later, on the network thread, or never
/// if the loop ends first.
void resolve_later(
    Loop& loop,
    const std::string& host_port,
    std::function<void(Result<std::vector<Endpoint>>)> done
);

}  // namespace starling::peer
