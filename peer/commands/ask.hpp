#pragma once

// What `status` and `leave` share: finding a running peer on this machine and asking it.

#include <string>

#include "base/result.hpp"
#include "peer/http.hpp"

namespace starling::peer {

/// Where to find the peer: an HTTP address, or a state directory whose file `http` holds one.
struct PeerAddress {
    std::string http;
    std::string state;
};

/// Errors    Usage (neither or both given, bad address), NotFound (no such file: no peer runs)
[[nodiscard]] Result<Endpoint> find_peer(const PeerAddress& address);

/// Sends one request and returns the body of a good reply.
/// Errors    those of http_request; BadFormat (a status other than 200)
[[nodiscard]] Result<std::string> ask_peer(const Endpoint& peer, const HttpRequest& request);

}  // namespace starling::peer
