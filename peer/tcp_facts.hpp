#pragma once

// What the kernel knows about a TCP connection. A file of its own: the header that names all of it
// does not go together with the one that Asio includes.

#include "base/instant.hpp"

namespace starling::peer {

/// Returns the least round trip that the kernel has measured on a connected TCP socket lately; zero
/// where it does not say.
[[nodiscard]] Duration least_round_trip(int socket);

}  // namespace starling::peer
