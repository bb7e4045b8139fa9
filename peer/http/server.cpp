#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "peer/http/http.hpp"
#include "peer/http/wire.hpp"
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
constexpr std::size_t kDrainBytesMax = std::size_t{64} * 1024;
constexpr Duration kDrainTimeMax = std::chrono::seconds(1);

/// What a connection is about.
enum class Phase {
    Reading,   ///< its request has not come as a whole
    Replying,  ///< its reply is being made and written
    Draining,  ///< it has its reply
};

struct Session {
    explicit Session(tcp::socket socket) : stream(std::move(socket)) {
        error_code error;
        const auto from = stream.socket().remote_endpoint(error);
        const bool near = !error && from_asio(from).is_loopback();
        client = near ? HttpClient::Local : HttpClient::Remote;
    }

    beast::tcp_stream stream;
    HttpClient client;
    Phase phase = Phase::Reading;
};

asio::awaitable<void> write_reply(
    std::shared_ptr<Session> session, WireReply wire, Duration timeout
) {
    session->phase = Phase::Replying;
    session->stream.expires_after(timeout);
    auto [error, written] = co_await http::async_write(session->stream, wire, kTuple);
    session->phase = Phase::Draining;
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
        limits.header_timeout = positive(limits.header_timeout);
    }

    asio::io_context& io;
    tcp::acceptor acceptor;
    Handler handler;
    HttpLimits limits;
    HttpGate gate;
    std::vector<std::shared_ptr<Session>> sessions;  ///< the oldest first
    bool stopped = false;
    ThreadOwner thread;

    static asio::awaitable<void> serve(
        std::shared_ptr<Impl> server, std::shared_ptr<Session> session
    );
    static asio::awaitable<void> converse(
        std::shared_ptr<Impl> server, std::shared_ptr<Session> session
    );
    static asio::awaitable<std::optional<WireReply>> reply_to(
        std::shared_ptr<Impl> server, std::shared_ptr<Session> session
    );
    static asio::awaitable<void> accept(std::shared_ptr<Impl> server);
    [[nodiscard]] bool make_room();
    void end(const std::shared_ptr<Session>& session);
};

/// Reads a request and lets it be answered. Nothing: no client waits, or the server has stopped.
asio::awaitable<std::optional<WireReply>> HttpServer::Impl::reply_to(
    std::shared_ptr<Impl> server, std::shared_ptr<Session> session
) {
    const HttpLimits limits = server->limits;
    auto& stream = session->stream;
    WireParser parser;
    set_limits(parser, limits);
    beast::flat_buffer buffer(limits.header_bytes + limits.body_bytes);
    // One deadline covers all reads of a header, and another those of a body: a byte now and then does
    // not extend it.
    stream.expires_after(limits.header_timeout);
    auto [error, count] = co_await http::async_read_header(stream, buffer, parser, kTuple);
    if (server->stopped) co_return std::nullopt;
    server->thread.check();
    bool head = false;
    if (!error) {
        head = parser.get().method() == http::verb::head;
        auto refusal = turn_away(parser.get().base(), session->client, server->gate);
        if (refusal) co_return wire_reply(std::move(*refusal), head);
        stream.expires_after(limits.timeout);
        std::tie(error, count) = co_await http::async_read(stream, buffer, parser, kTuple);
        if (server->stopped) co_return std::nullopt;
    }
    if (error) {
        auto reply = reply_to_bad_request(error);
        if (!reply) co_return std::nullopt;
        co_return wire_reply(std::move(*reply), head);
    }
    session->phase = Phase::Replying;
    co_return wire_reply(call_handler(server->handler, parser.release()), head);
}

asio::awaitable<void> HttpServer::Impl::converse(
    std::shared_ptr<Impl> server, std::shared_ptr<Session> session
) {
    auto reply = co_await reply_to(server, session);
    if (!reply) co_return;
    const auto timeout = server->limits.timeout;
    co_await write_reply(session, std::move(*reply), timeout);
    // After stop() nothing would end a drain early.
    if (!server->stopped) co_await drain(session, std::min(timeout, kDrainTimeMax));
}

asio::awaitable<void> HttpServer::Impl::serve(
    std::shared_ptr<Impl> server, std::shared_ptr<Session> session
) {
    co_await converse(server, session);
    server->end(session);
}

void HttpServer::Impl::end(const std::shared_ptr<Session>& session) {
    session->stream.close();
    std::erase(sessions, session);
}

/// Returns whether one more client has a place. The oldest one that needs its place least gives it up:
/// strangers who hold places and say nothing would else lock out the owner.
bool HttpServer::Impl::make_room() {
    const auto full = [this] {
        // Checkpoints come before answers.
        return sessions.size() >= limits.connections || !descriptor_free(DescriptorUse::Http);
    };
    if (!full()) return true;
    for (const auto phase : {Phase::Draining, Phase::Reading, Phase::Replying}) {
        const auto oldest =
            std::find_if(sessions.begin(), sessions.end(), [phase](const auto& one) {
                return one->phase == phase;
            });
        if (oldest == sessions.end()) continue;
        end(std::shared_ptr<Session>(*oldest));
        return !full();
    }
    return false;
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
        if (!server->make_room()) continue;
        auto session = std::make_shared<Session>(std::move(socket));
        server->sessions.push_back(session);
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

void HttpServer::set_gate(HttpGate gate) {
    impl_->gate = std::move(gate);
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
        if (session->phase != Phase::Replying) session->stream.close();
    }
}

}  // namespace starling::peer
