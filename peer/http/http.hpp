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
    /// What a client proves its right with (Authorization: Bearer). A handler sees none: it was checked.
    std::string token{};
};

struct HttpReply {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
};

/// The status of a reply to a request that means another life (412, precondition failed).
inline constexpr unsigned kOtherLife = 412;
/// The status of a reply to a request without the token that it needs.
inline constexpr unsigned kNoToken = 401;

struct HttpLimits {
    std::size_t header_bytes = std::size_t{8} * 1024;
    std::size_t body_bytes = std::size_t{64} * 1024;
    std::size_t connections = 64;  ///< above this the oldest one gives way
    Duration header_timeout =
        std::chrono::seconds(2);                  ///< from the connection to the last header line
    Duration timeout = std::chrono::seconds(10);  ///< for the body, then for the reply
};

/// Where a request comes from.
enum class HttpClient {
    Local,   ///< this machine
    Remote,  ///< any other
};

/// Who may ask. Whoever changes something (neither GET nor HEAD) must know the token, and whoever
/// comes from another machine must know it for everything. Without a token nobody may do that.
///
/// Browsers get less. Any page that is open in one could ask a peer on the same machine, so a change
/// with an Origin other than this server is refused. So is a Host that is neither an address, nor
/// `localhost`, nor one of our names: a page can let its own name point to this machine (DNS
/// rebinding), and then its Origin looks like ours.
struct HttpGate {
    std::string token;
    std::vector<std::string> names;  ///< by which the server may be asked, besides addresses
};

/// Serves requests with one handler. The handler runs on the io_context's thread and must not
/// block; when it throws, the client gets a 500. When all places are taken, the oldest client that has
/// its reply or has not yet sent its request gives way to a new one, and then the oldest that is slow to
/// read: nobody locks out the others by holding places.
class HttpServer {
public:
    using Handler = std::function<HttpReply(const HttpRequest&)>;

    HttpServer(boost::asio::io_context& io, Handler handler, HttpLimits limits = {});
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Says who may ask from now on.
    void set_gate(HttpGate gate);

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
