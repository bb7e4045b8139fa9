#pragma once

// What `status` and `leave` share: they find a running peer on this machine and ask it.

#include <string>

#include "base/result.hpp"
#include "peer/http/http.hpp"

namespace starling::peer {

/// Where to find the peer: its HTTP address, or its state directory, whose file `http` contains the
/// address.
struct PeerAddress {
    std::string http;
    std::string state;
};

/// Takes the state directory, or else the HTTP address, from the environment if no flag gives one.
[[nodiscard]] PeerAddress with_environment(PeerAddress address);

/// Returns the HTTP address of the peer.
/// Errors    Usage (neither or both are given, or a bad address), NotFound (there is no such file,
///           so no peer runs), BadFormat (the file contains no address)
[[nodiscard]] Result<Endpoint> find_peer(const PeerAddress& address);

/// Sends one request and returns the body of a good reply. Blocks until the reply is here, at most
/// five seconds.
/// Errors    those of http_request; BadFormat (a status other than 200)
[[nodiscard]] Result<std::string> ask_peer(const Endpoint& peer, const HttpRequest& request);

}  // namespace starling::peer
