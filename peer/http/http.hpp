#pragma once

// A small HTTP/1.1 server for status, metrics and the live page, and a blocking client for the
// commands that ask a running peer. One request a connection: a poll of a page once a second does
// not need keep-alive, and an idle client can then never hold one of the few places for long.
//
// Thread    server: the thread that runs the io_context; client: any

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/endpoint.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"

namespace boost::asio {
class io_context;
}

namespace starling::peer {

struct HttpRequest {
    std::string method;  ///< in capitals; the server shows HEAD to its handler as GET
    std::string target;  ///< path and query, as sent
    std::string body;
};

struct HttpReply {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
};

struct HttpLimits {
    std::size_t header_bytes = std::size_t{8} * 1024;
    std::size_t body_bytes = std::size_t{64} * 1024;
    std::size_t connections = 64;                 ///< those above are closed at once
    Duration timeout = std::chrono::seconds(10);  ///< for the whole request, then for the reply
};

/// Serves one handler. The handler runs on the io_context's thread and must not block; when it
/// throws, the client gets a 500. A request that changes something (neither GET nor HEAD) and
/// carries an Origin other than this server is refused: otherwise any page open in a browser could
/// make a peer on the same machine leave.
class HttpServer {
public:
    using Handler = std::function<HttpReply(const HttpRequest&)>;

    HttpServer(boost::asio::io_context& io, Handler handler, HttpLimits limits = {});
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Starts to listen and returns the bound address; port 0 means any free port.
    /// Errors    AddressInUse, Io; nothing is listening then
    [[nodiscard]] Result<Endpoint> listen(const Endpoint& endpoint);

    /// Stops listening and closes the connections, except those whose reply is being written: a
    /// handler that stops the server still answers. The handler is not called any more.
    void stop();

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;  ///< shared with the coroutines that are still to unwind
};

/// Sends one request and waits for the reply, at most `timeout` in all.
/// Errors    Unreachable, Timeout, Closed, BadFormat, Oversized (a reply above 16 MiB)
/// Thread    any; blocks
[[nodiscard]] Result<HttpReply> http_request(
    const Endpoint& server, const HttpRequest& request, Duration timeout
);

}  // namespace starling::peer
