#pragma once

// Turns host names into addresses.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/result.hpp"

namespace starling::peer {

class Loop;

/// Resolves HOST:PORT to all its addresses. Blocks during the look-up; only for start-up.
/// Errors    BadFormat, Unreachable
[[nodiscard]] Result<std::vector<Endpoint>> resolve(const std::string& host_port);

/// Returns the address of this machine from which packets to `to` leave, with port 0; nothing if no
/// route leads there. Sends nothing.
[[nodiscard]] std::optional<Endpoint> local_address_towards(const Endpoint& to);

/// Like resolve(), but returns at once. Calls `done` once, later, on the network thread, or never
/// if the loop ends first.
void resolve_later(
    Loop& loop,
    const std::string& host_port,
    std::function<void(Result<std::vector<Endpoint>>)> done
);

}  // namespace starling::peer
