#pragma once

// Turns host names into addresses.

#include <functional>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/result.hpp"

namespace starling::peer {

class Loop;

/// Resolves HOST:PORT to all its addresses. Blocks during the look-up; only for start-up.
/// Errors    BadFormat, Unreachable
[[nodiscard]] Result<std::vector<Endpoint>> resolve(const std::string& host_port);

/// Like resolve(), but returns at once. Calls `done` once, later, on the network thread.
void resolve_later(
    Loop& loop,
    const std::string& host_port,
    std::function<void(Result<std::vector<Endpoint>>)> done
);

}  // namespace starling::peer
