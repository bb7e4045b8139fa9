#include "peer/streams/dial.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "peer/machine/asio_endpoint.hpp"
#include "peer/machine/descriptors.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/tcp_connection.hpp"
#include "peer/streams/tcp_facts.hpp"

namespace starling::peer {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

struct Dial {
    tcp::socket socket;
    asio::steady_timer timer;
    Endpoint to;
    ConnectionHandler& handler;
    std::function<void(Result<ConnectionPtr>)> done;
    std::optional<Fault> ended{};  ///< why we closed the socket

    void end(Fault why) {
        if (ended) return;
        ended = std::move(why);
        error_code ignored;
        socket.close(ignored);
    }
};

std::string name_of(const Dial& dial) {
    return "cannot reach " + dial.to.to_string();
}

void finish_dial(const std::shared_ptr<Dial>& dial, const error_code& error) {
    dial->timer.cancel();
    if (dial->ended) {
        dial->done(*dial->ended);
    } else if (error == asio::error::host_unreachable || error == asio::error::network_unreachable || error == asio::error::timed_out) {
        // The way there is gone, which says nothing about who listens at its end.
        dial->done(fail(FaultCode::Timeout, name_of(*dial) + ": " + error.message()));
    } else if (error) {
        dial->done(fail(FaultCode::Unreachable, name_of(*dial) + ": " + error.message()));
    } else {
        dial->done(tcp_connection(std::move(dial->socket), dial->to, true, dial->handler));
    }
}

}  // namespace

std::string small_segments_note(const Endpoint& to) {
    return "packets of more than 1,280 bytes seem to get lost on the way to " + to.to_string() +
           " (a tunnel with a smaller MTU?): using small ones";
}

EndDial dial(
    Loop& loop,
    const Endpoint& to,
    Duration timeout,
    ConnectionHandler& handler,
    std::function<void(Result<ConnectionPtr>)> done,
    Segments segments
) {
    if (!descriptor_free(DescriptorUse::Stream)) {
        loop.post([to, done = std::move(done)] {
            done(fail(
                FaultCode::Busy,
                "cannot reach " + to.to_string() + ": too many open files (ulimit -n)"
            ));
        });
        return [] {};
    }
    auto& context = loop.context();
    auto state = std::make_shared<Dial>(Dial{
        tcp::socket(context), asio::steady_timer(context), to, handler, std::move(done)});
    state->timer.expires_after(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(timeout)
    );
    state->timer.async_wait([state](const error_code& error) {
        if (!error) state->end(fail(FaultCode::Timeout, name_of(*state) + ": no answer"));
    });
    if (segments == Segments::Small) {
        error_code error;  // if it does not open here, it does not below, which is reported
        state->socket.open(to_asio<tcp>(to).protocol(), error);
        limit_segments(state->socket.native_handle());
    }
    state->socket.async_connect(to_asio<tcp>(to), [state](const error_code& error) {
        finish_dial(state, error);
    });
    return [weak = std::weak_ptr(state)] {
        if (const auto alive = weak.lock()) alive->end(fail(FaultCode::Closed, "given up"));
    };
}

}  // namespace starling::peer
