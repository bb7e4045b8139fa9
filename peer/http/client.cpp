// The client: one request, one reply, one deadline.

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <utility>

#include "peer/http/http.hpp"
#include "peer/http/wire.hpp"
#include "peer/machine/asio_endpoint.hpp"
#include "peer/machine/coroutine.hpp"

namespace starling::peer {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReplyBytesMax = std::size_t{16} * 1024 * 1024;

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
    if (!request.token.empty()) {
        wire.set(http::field::authorization, std::string(kBearer) + request.token);
    }
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
    stream.expires_after(std::max<Duration>(timeout, std::chrono::milliseconds(1)));
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
