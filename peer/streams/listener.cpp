#include "peer/streams/listener.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <utility>

#include "peer/machine/asio_endpoint.hpp"
#include "peer/machine/coroutine.hpp"
#include "peer/machine/descriptors.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/tcp_connection.hpp"
#include "peer/streams/tcp_facts.hpp"

namespace starling::peer {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kStrangersMax = 64;
constexpr auto kNoDescriptorPause = std::chrono::milliseconds(500);
constexpr std::size_t kStrangersPerSource = 8;

}  // namespace

struct Listener::State : std::enable_shared_from_this<Listener::State> {
    State(asio::io_context& context, ListenerHandler& owner)
        : acceptor(context),
          pause(context),
          handler(owner) {}

    tcp::acceptor acceptor;
    asio::steady_timer pause;
    ListenerHandler& handler;
    std::map<std::array<std::uint8_t, 16>, std::size_t> strangers;
    std::size_t stranger_count = 0;
    bool stopped = false;

    static asio::awaitable<void> accept_all(std::shared_ptr<State> self) {
        auto back_off = std::chrono::milliseconds(5);
        while (!self->stopped) {
            if (self->stranger_count >= kStrangersMax) {
                self->pause.expires_at(std::chrono::steady_clock::time_point::max());
                co_await self->pause.async_wait(kTuple);
                continue;
            }
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
            self->admit(std::move(socket));
        }
    }

    void admit(tcp::socket socket) {
        error_code error;
        const auto remote = socket.remote_endpoint(error);
        if (error) return;
        const Endpoint source = from_asio(remote);
        auto& count = strangers[source.address];
        if (count >= kStrangersPerSource && !source.is_loopback()) return;
        ++count;
        ++stranger_count;
        handler.on_accepted(tcp_connection(std::move(socket), source, false, handler));
    }
};

Listener::Listener(Loop& loop, ListenerHandler& handler)
    : state_(std::make_shared<State>(loop.context(), handler)) {}

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

void Listener::release_stranger(const Endpoint& source) {
    const auto found = state_->strangers.find(source.address);
    if (found == state_->strangers.end()) return;
    if (--found->second == 0) state_->strangers.erase(found);
    --state_->stranger_count;
    state_->pause.cancel();
}

void Listener::stop() {
    state_->stopped = true;
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->pause.cancel();
}

}  // namespace starling::peer
