#include "peer/http/http.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/check.hpp"
#include "peer/machine/asio_endpoint.hpp"
#include "peer/machine/coroutine.hpp"
#include "peer/machine/descriptors.hpp"

namespace starling::peer {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr const char* kLifeHeader = "Starling-Life";
constexpr std::size_t kReplyBytesMax = std::size_t{16} * 1024 * 1024;
constexpr std::size_t kDrainBytesMax = std::size_t{64} * 1024;
constexpr Duration kDrainTimeMax = std::chrono::seconds(1);

struct Session {
    explicit Session(tcp::socket socket) : stream(std::move(socket)) {}

    beast::tcp_stream stream;
    bool replying = false;
};

HttpReply plain_reply(http::status status, std::string_view text) {
    return {static_cast<unsigned>(status), "text/plain", std::string(text) + "\n"};
}

/// Returns the reply for a request that could not be read, or nothing when no client waits for it.
std::optional<HttpReply> reply_to_bad_request(const error_code& error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return plain_reply(
            http::status::request_header_fields_too_large, "the header is too large"
        );
    }
    if (error == http::error::body_limit) {
        return plain_reply(http::status::payload_too_large, "the body is too large");
    }
    if (error == beast::error::timeout || error == http::error::end_of_stream) return {};
    if (error.category() == http::make_error_code(http::error::bad_method).category()) {
        return plain_reply(http::status::bad_request, "this is not an HTTP/1.1 request");
    }
    return {};
}

bool is_foreign_write(const http::request<http::string_body>& request) {
    if (request.method() == http::verb::get || request.method() == http::verb::head) return false;
    const auto origin = request.find(http::field::origin);
    if (origin == request.end()) return false;
    const std::string host(request[http::field::host]);
    // With https somebody has put a proxy before us.
    return origin->value() != "http://" + host && origin->value() != "https://" + host;
}

/// Returns whether the request asks for us by a name that a foreign page cannot have. A request
/// without a Host comes from no browser.
bool is_for_us(
    const http::request<http::string_body>& request, const std::vector<std::string>& names
) {
    if (request.count(http::field::host) != 1) return request.count(http::field::host) == 0;
    const std::string host(request[http::field::host]);
    if (Endpoint::parse(host) || Endpoint::parse(host + ":80")) return true;
    const auto name = host.substr(0, host.find(':'));
    return beast::iequals(name, "localhost") ||
           std::any_of(names.begin(), names.end(), [&name](const std::string& ours) {
               return beast::iequals(name, ours);
           });
}

HttpReply call_handler(
    const HttpServer::Handler& handler,
    const std::vector<std::string>& names,
    const http::request<http::string_body>& request
) {
    if (!is_for_us(request, names)) {
        return plain_reply(
            http::status::misdirected_request,
            "this peer is asked by its address, by localhost, or by a name of its --http-name"
        );
    }
    if (is_foreign_write(request)) {
        return plain_reply(http::status::forbidden, "requests of other sites are refused");
    }
    const bool head = request.method() == http::verb::head;
    HttpRequest plain;
    plain.method = head ? "GET" : std::string(request.method_string());
    plain.target = std::string(request.target());
    plain.body = request.body();
    plain.life = std::string(request[kLifeHeader]);
    try {
        return handler(plain);
    } catch (const std::exception& error) {
        return plain_reply(http::status::internal_server_error, error.what());
    }
}

http::response<http::string_body> wire_reply(HttpReply reply, bool head) {
    http::response<http::string_body> wire;
    wire.version(11);
    wire.result(reply.status);
    wire.set(http::field::server, "starling");
    wire.set(http::field::content_type, reply.content_type);
    wire.set(http::field::cache_control, "no-store");
    wire.content_length(reply.body.size());
    wire.keep_alive(false);
    if (!head) wire.body() = std::move(reply.body);
    return wire;
}

asio::awaitable<void> write_reply(
    std::shared_ptr<Session> session, http::response<http::string_body> wire, Duration timeout
) {
    session->replying = true;
    session->stream.expires_after(timeout);
    auto [error, written] = co_await http::async_write(session->stream, wire, kTuple);
    session->replying = false;
    if (error) co_return;
    session->stream.socket().shutdown(tcp::socket::shutdown_send, error);
}

/// Reads what the client may still send, because closing a socket with unread bytes resets the
/// connection, and the reset can overtake the reply.
asio::awaitable<void> drain(std::shared_ptr<Session> session, Duration timeout) {
    session->stream.expires_after(timeout);
    std::array<char, 4096> rest{};
    std::size_t drained = 0;
    while (drained < kDrainBytesMax) {
        const auto [error, count] =
            co_await session->stream.async_read_some(asio::buffer(rest), kTuple);
        if (error) co_return;
        drained += count;
    }
}

Duration positive(Duration timeout) {
    return timeout > Duration::zero() ? timeout : Duration(std::chrono::milliseconds(1));
}

}  // namespace

struct HttpServer::Impl {
    Impl(asio::io_context& context, Handler on_request, HttpLimits bounds)
        : io(context),
          acceptor(context),
          handler(std::move(on_request)),
          limits(bounds) {
        limits.timeout = positive(limits.timeout);
    }

    asio::io_context& io;
    tcp::acceptor acceptor;
    Handler handler;
    HttpLimits limits;
    std::vector<std::string> names;
    std::set<std::shared_ptr<Session>> sessions;
    bool stopped = false;
    ThreadOwner thread;

    static asio::awaitable<void> serve(
        std::shared_ptr<Impl> server, std::shared_ptr<Session> session
    );
    static asio::awaitable<void> converse(
        std::shared_ptr<Impl> server, std::shared_ptr<Session> session
    );
    static asio::awaitable<void> accept(std::shared_ptr<Impl> server);
    void end(const std::shared_ptr<Session>& session);
};

asio::awaitable<void> HttpServer::Impl::converse(
    std::shared_ptr<Impl> server, std::shared_ptr<Session> session
) {
    const HttpLimits limits = server->limits;
    http::request_parser<http::string_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    parser.body_limit(limits.body_bytes);
    beast::flat_buffer buffer(limits.header_bytes + limits.body_bytes);
    // One deadline covers all reads of the request: a byte now and then does not extend it.
    session->stream.expires_after(limits.timeout);
    const auto [error, count] = co_await http::async_read(session->stream, buffer, parser, kTuple);
    if (server->stopped) co_return;
    server->thread.check();
    std::optional<HttpReply> reply;
    bool head = false;
    if (error) {
        reply = reply_to_bad_request(error);
    } else {
        const auto request = parser.release();
        head = request.method() == http::verb::head;
        session->replying = true;
        reply = call_handler(server->handler, server->names, request);
    }
    if (!reply) co_return;
    auto wire = wire_reply(std::move(*reply), head);
    co_await write_reply(session, std::move(wire), limits.timeout);
    // After stop() nothing would end a drain early.
    if (!server->stopped) co_await drain(session, std::min(limits.timeout, kDrainTimeMax));
}

asio::awaitable<void> HttpServer::Impl::serve(
    std::shared_ptr<Impl> server, std::shared_ptr<Session> session
) {
    co_await converse(server, session);
    server->end(session);
}

void HttpServer::Impl::end(const std::shared_ptr<Session>& session) {
    session->stream.close();
    sessions.erase(session);
}

asio::awaitable<void> HttpServer::Impl::accept(std::shared_ptr<Impl> server) {
    while (!server->stopped) {
        auto [error, socket] = co_await server->acceptor.async_accept(kTuple);
        if (server->stopped) co_return;
        if (error) {
            // Most likely we are out of descriptors; without a pause this loop would spin.
            asio::steady_timer pause(server->io, std::chrono::milliseconds(100));
            co_await pause.async_wait(kTuple);
            continue;
        }
        if (server->sessions.size() >= server->limits.connections) continue;
        // Checkpoints come before answers.
        if (!descriptor_free(DescriptorUse::Http)) continue;
        auto session = std::make_shared<Session>(std::move(socket));
        server->sessions.insert(session);
        spawn(
            server->io.get_executor(),
            serve(server, session),
            "answering over HTTP",
            [server, session](const std::string& /*line*/) { server->end(session); }
        );
    }
}

HttpServer::HttpServer(asio::io_context& io, Handler handler, HttpLimits limits)
    : impl_(std::make_shared<Impl>(io, std::move(handler), limits)) {}

HttpServer::~HttpServer() {
    stop();
}

void HttpServer::set_names(std::vector<std::string> names) {
    impl_->names = std::move(names);
}

Result<Endpoint> HttpServer::listen(const Endpoint& endpoint) {
    STARLING_CHECK(!impl_->stopped && !impl_->acceptor.is_open());
    auto& acceptor = impl_->acceptor;
    const auto address = to_asio<tcp>(endpoint);
    error_code error;
    acceptor.open(address.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(address, error);
    if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
    if (error) {
        const bool in_use = error == asio::error::address_in_use;
        error_code ignored;
        acceptor.close(ignored);
        return fail(
            in_use ? FaultCode::AddressInUse : FaultCode::Io,
            "cannot listen for HTTP on " + endpoint.to_string() + ": " + error.message() +
                "; choose another --http"
        );
    }
    const Endpoint bound = from_asio(acceptor.local_endpoint());
    spawn_vital(impl_->io.get_executor(), Impl::accept(impl_), "accepting requests over HTTP");
    return bound;
}

void HttpServer::stop() {
    if (std::exchange(impl_->stopped, true)) return;
    error_code ignored;
    impl_->acceptor.close(ignored);
    for (const auto& session : impl_->sessions) {
        if (!session->replying) session->stream.close();
    }
}

namespace {

Fault client_fault(const Endpoint& server, const error_code& error) {
    const std::string where = "no answer from " + server.to_string() + ": ";
    if (error == beast::error::timeout) {
        return fail(FaultCode::Timeout, where + "the time is up");
    }
    if (error == http::error::body_limit || error == http::error::header_limit) {
        return fail(FaultCode::Oversized, where + "the reply is too large");
    }
    if (error == http::error::end_of_stream || error == http::error::partial_message) {
        return fail(FaultCode::Closed, where + "the connection was closed");
    }
    if (error.category() == http::make_error_code(http::error::bad_method).category()) {
        return fail(FaultCode::BadFormat, where + "this is not an HTTP server");
    }
    return fail(FaultCode::Unreachable, where + error.message());
}

asio::awaitable<void> fetch(
    beast::tcp_stream& stream, Endpoint server, HttpRequest request, Result<HttpReply>& result
) {
    auto [connect_error] = co_await stream.async_connect(to_asio<tcp>(server), kTuple);
    if (connect_error) {
        result = client_fault(server, connect_error);
        co_return;
    }
    http::request<http::string_body> wire;
    wire.version(11);
    wire.method_string(request.method);
    wire.target(request.target);
    wire.set(http::field::host, server.to_string());
    wire.set(http::field::user_agent, "starling");
    if (!request.life.empty()) wire.set(kLifeHeader, request.life);
    wire.keep_alive(false);
    wire.body() = std::move(request.body);
    wire.prepare_payload();
    auto [write_error, written] = co_await http::async_write(stream, wire, kTuple);
    if (write_error) {
        result = client_fault(server, write_error);
        co_return;
    }
    http::response_parser<http::string_body> parser;
    parser.body_limit(kReplyBytesMax);
    beast::flat_buffer buffer;
    auto [read_error, count] = co_await http::async_read(stream, buffer, parser, kTuple);
    if (read_error) {
        result = client_fault(server, read_error);
        co_return;
    }
    auto reply = parser.release();
    result = HttpReply{
        reply.result_int(), std::string(reply[http::field::content_type]), std::move(reply.body())};
}

}  // namespace

Result<HttpReply> http_request(
    const Endpoint& server, const HttpRequest& request, Duration timeout
) {
    Result<HttpReply> result = fail(FaultCode::Io, "the request to a server did not run");
    asio::io_context io(1);
    beast::tcp_stream stream(io);
    // One deadline covers connecting, sending and reading.
    stream.expires_after(positive(timeout));
    spawn(
        io.get_executor(),
        fetch(stream, server, request, result),
        "asking over HTTP",
        [&result](const std::string& line) { result = fail(FaultCode::Io, line); }
    );
    io.run();
    return result;
}

}  // namespace starling::peer
