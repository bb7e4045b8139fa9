#include "peer/streams/listener.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "peer/machine/asio_endpoint.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/coroutine.hpp"
#include "peer/machine/descriptors.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/doorkeeper.hpp"
#include "peer/streams/tcp_connection.hpp"
#include "peer/streams/tcp_facts.hpp"

namespace starling::peer {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kNoDescriptorPause = std::chrono::milliseconds(500);

}  // namespace

struct Listener::State : std::enable_shared_from_this<Listener::State> {
    State(Loop& loop, ListenerHandler& owner)
        : acceptor(loop.context()),
          pause(loop.context()),
          handler(owner),
          timer(loop, [this] {
              armed.reset();
              attend();
          }) {}

    struct Waiting {
        tcp::socket socket;
        Endpoint source;
    };

    tcp::acceptor acceptor;
    asio::steady_timer pause;
    ListenerHandler& handler;
    Doorkeeper door;
    Timer timer;
    std::optional<Instant> armed;  ///< when the timer fires
    std::unordered_map<Doorkeeper::Ticket, Waiting> waiting;
    /// Those that shake hands or are guests.
    std::unordered_map<Doorkeeper::Ticket, std::weak_ptr<Connection>> inside;
    std::unordered_map<const Connection*, Doorkeeper::Ticket> tickets;
    bool stopped = false;

    static asio::awaitable<void> accept_all(std::shared_ptr<State> self) {
        auto back_off = std::chrono::milliseconds(5);
        while (!self->stopped) {
            // What is left belongs to our own files and to whoever asks over HTTP. The kernel queues.
            if (!descriptor_free(DescriptorUse::Stream)) {
                self->pause.expires_after(kNoDescriptorPause);
                co_await self->pause.async_wait(kTuple);
                continue;
            }
            auto [error, socket] = co_await self->acceptor.async_accept(kTuple);
            if (self->stopped) co_return;
            if (error) {
                // Most likely we are out of descriptors: wait for free ones instead of spinning.
                self->pause.expires_after(back_off);
                co_await self->pause.async_wait(kTuple);
                back_off = std::min(2 * back_off, std::chrono::milliseconds(1000));
                continue;
            }
            back_off = std::chrono::milliseconds(5);
            self->hold(std::move(socket));
        }
    }

    /// Keeps a connection outside until its first bytes are here.
    void hold(tcp::socket socket) {
        error_code error;
        const auto remote = socket.remote_endpoint(error);
        if (error) return;
        const Endpoint source = from_asio(remote);
        const auto ticket = door.arrive(real_now(), source);
        const auto held = waiting.emplace(ticket, Waiting{std::move(socket), source}).first;
        held->second.socket.async_wait(
            tcp::socket::wait_read,
            [self = shared_from_this(), ticket](const error_code& failed) {
                if (failed || self->stopped) return;
                self->door.spoke(real_now(), ticket);
                self->attend();
            }
        );
        attend();
    }

    /// Does what the doorkeeper wants.
    void attend() {
        if (stopped) return;
        while (const auto ticket = door.poll_dismissed(real_now())) dismiss(*ticket);
        while (const auto ticket = door.poll_admitted(real_now())) admit(*ticket);
        const auto next = door.poll_timeout(real_now());
        // A timer that fires too early costs less than one that is set anew for each stranger.
        if (!next || (armed && *armed <= *next)) return;
        armed = next;
        timer.arm(*next);
    }

    void dismiss(Doorkeeper::Ticket ticket) {
        waiting.erase(ticket);
        const auto found = inside.find(ticket);
        if (found == inside.end()) return;
        const auto connection = found->second.lock();
        inside.erase(found);
        if (!connection) return;
        tickets.erase(connection.get());
        connection->close(fail(FaultCode::Busy, "too many strangers"));
    }

    void admit(Doorkeeper::Ticket ticket) {
        auto entry = waiting.extract(ticket);
        auto connection =
            tcp_connection(std::move(entry.mapped().socket), entry.mapped().source, false, handler);
        inside.emplace(ticket, connection);
        tickets.emplace(connection.get(), ticket);
        handler.on_accepted(std::move(connection));
    }

    /// Forgets a connection that is no stranger any more. Returns its ticket.
    std::optional<Doorkeeper::Ticket> forget(const Connection& connection) {
        const auto found = tickets.find(&connection);
        if (found == tickets.end()) return std::nullopt;
        const auto ticket = found->second;
        tickets.erase(found);
        inside.erase(ticket);
        return ticket;
    }
};

Listener::Listener(Loop& loop, ListenerHandler& handler)
    : state_(std::make_shared<State>(loop, handler)) {}

Listener::~Listener() {
    stop();
}

Result<Endpoint> Listener::bind(const Endpoint& at) {
    const auto where = to_asio<tcp>(at);
    error_code error;
    auto& acceptor = state_->acceptor;
    state_->stopped = false;
    acceptor.open(where.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(where, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
        const bool used = error == asio::error::address_in_use;
        error_code ignored;
        acceptor.close(ignored);
        return fail(
            used ? FaultCode::AddressInUse : FaultCode::Io,
            "cannot listen on " + at.to_string() + ": " + error.message() +
                (used ? "; choose another port with --listen, or port 0 for any" : "")
        );
    }
    return from_asio(acceptor.local_endpoint());
}

void Listener::accept() {
    spawn_vital(
        state_->acceptor.get_executor(), State::accept_all(state_), "accepting streams of peers"
    );
}

void Listener::limit_segments() {
    if (!state_->stopped) peer::limit_segments(state_->acceptor.native_handle());
}

void Listener::greeted(const Connection& connection) {
    const auto found = state_->tickets.find(&connection);
    if (found != state_->tickets.end()) state_->door.greeted(found->second);
}

void Listener::proven(const Connection& connection) {
    const auto ticket = state_->forget(connection);
    if (!ticket) return;
    state_->door.proven(*ticket);
    state_->attend();
}

void Listener::gone(const Connection& connection) {
    const auto ticket = state_->forget(connection);
    if (!ticket) return;
    state_->door.gone(*ticket);
    state_->attend();
}

void Listener::stop() {
    state_->stopped = true;
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->pause.cancel();
    state_->timer.cancel();
    state_->armed.reset();
    state_->waiting.clear();
}

}  // namespace starling::peer
