#pragma once

// What `status` and `leave` share: they find a running peer on this machine and ask it.

#include <string>

#include "base/result.hpp"
#include "peer/http/http.hpp"
#include "peer/machine/running.hpp"

namespace starling::peer {

/// Where to find the peer: its HTTP address, or its state directory, whose file `http` contains the
/// address and the token.
struct PeerAddress {
    std::string http;
    std::string state;
    std::string token;  ///< file with the token of the peer at `http`; empty: it is looked for
};

/// Takes the state directory, or else the HTTP address, from the environment if no flag gives one.
[[nodiscard]] PeerAddress with_environment(PeerAddress address);

/// Returns where the peer serves. With --http it is whichever serves there, so `life` is empty; its
/// token is known if it is a peer of this user, or from the file that --token names.
/// Errors    Usage (neither or both are given, a bad address, or a file without a token), NotFound (no
///           peer runs there), BadFormat (the file `http` is damaged), Io (it is another user's)
[[nodiscard]] Result<ServingPlace> find_peer(const PeerAddress& address);

/// Sends one request and returns the body of a good reply. Blocks until the reply is here, at most
/// five seconds. If `peer` names a life, no other does what it is asked.
/// Errors    those of http_request; NotFound (another peer serves there now); Refused (it wants a token
///           that we do not have); BadFormat (a status other than 200)
[[nodiscard]] Result<std::string> ask_peer(const ServingPlace& peer, HttpRequest request);

}  // namespace starling::peer
