#pragma once

// A small HTTP/1.1 server for status, metrics and the live page, and a blocking client for the
// commands that ask a running peer. Each connection carries one request: a page that polls once a
// second does not need keep-alive, and so no idle client holds one of the few places for long.
//
// Thread    server: the thread that runs the io_context; client: any

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"

namespace boost::asio {
class io_context;
}

namespace starling::peer {

struct HttpRequest {
    std::string method;  ///< in capitals; a handler sees HEAD as GET
    std::string target;  ///< path and query, as sent
    std::string body;
    /// Says which life of a peer is meant (the header Starling-Life). Empty: whichever serves there.
    std::string life{};
};

struct HttpReply {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
};

/// The status of a reply to a request that means another life (412, precondition failed).
inline constexpr unsigned kOtherLife = 412;

struct HttpLimits {
    std::size_t header_bytes = std::size_t{8} * 1024;
    std::size_t body_bytes = std::size_t{64} * 1024;
    std::size_t connections = 64;                 ///< above this a new one is closed at once
    Duration timeout = std::chrono::seconds(10);  ///< for the whole request, then for its reply
};

/// Serves requests with one handler. The handler runs on the io_context's thread and must not
/// block; when it throws, the client gets a 500. A request that changes something (neither GET nor
/// HEAD) and carries an Origin other than this server is refused: otherwise any page open in a
/// browser could make a peer on the same machine leave. A Host that is neither an address, nor
/// `localhost`, nor one of our names is refused, too: a page can let its own name point to this
/// machine (DNS rebinding), and then its Origin looks like ours.
class HttpServer {
public:
    using Handler = std::function<HttpReply(const HttpRequest&)>;

    HttpServer(boost::asio::io_context& io, Handler handler, HttpLimits limits = {});
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Sets the names by which this server may be asked.
    void set_names(std::vector<std::string> names);

    /// Starts to listen and returns the bound address; port 0 means any free port.
    /// Errors    AddressInUse, Io; nothing is listening then
    [[nodiscard]] Result<Endpoint> listen(const Endpoint& endpoint);

    /// Stops listening and closes the connections, except those whose reply is being written, so
    /// that a handler which stops the server still answers. Calls the handler no more.
    void stop();

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;  ///< shared with coroutines that end after the server
};

/// Sends one request and blocks until the reply has come, for at most `timeout` in all.
/// Errors    Unreachable, Timeout, Closed, BadFormat, Oversized (a reply above 16 MiB)
/// Thread    any
[[nodiscard]] Result<HttpReply> http_request(
    const Endpoint& server, const HttpRequest& request, Duration timeout
);

}  // namespace starling::peer
