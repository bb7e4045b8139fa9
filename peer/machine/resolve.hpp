#pragma once

// Names of hosts to addresses.

#include <functional>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/result.hpp"

namespace starling::peer {

class Loop;

/// Resolves HOST:PORT to all its addresses (blocking; for start-up).
/// Errors    BadFormat, Unreachable
[[nodiscard]] Result<std::vector<Endpoint>> resolve(const std::string& host_port);

/// Like resolve, without blocking; `done` is called once, on the network thread.
void resolve_later(
    Loop& loop,
    const std::string& host_port,
    std::function<void(Result<std::vector<Endpoint>>)> done
);

}  // namespace starling::peer
