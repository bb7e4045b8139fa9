#pragma once

// What a server answers, without a socket.

#include <optional>

#include "base/bytes.hpp"
#include "peer/http/http.hpp"

namespace starling::peer {

/// Answers the request with which `bytes` begin, as a server does that reads them from a socket and then
/// its end. Nothing: the request is cut short or empty, and no client waits for a reply.
[[nodiscard]] std::optional<HttpReply> answer(
    ByteView bytes,
    HttpClient client,
    const HttpGate& gate,
    const HttpLimits& limits,
    const HttpServer::Handler& handler
);

}  // namespace starling::peer
