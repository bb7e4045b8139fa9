#include "peer/streams/byte_stream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <utility>

namespace starling::peer {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

/// Sets socket options so that small frames leave at once and a vanished partner is noticed within
/// 20 s, even when nothing is asked of it and only the kernel sends keep-alives.
void tune(tcp::socket& socket) {
    error_code ignored;  // a socket without these options works too, only less promptly
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    const int idle_s = 10;
    const int interval_s = 5;
    const unsigned timeout_ms = 20000;
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    ::setsockopt(
        socket.native_handle(), IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s)
    );
    ::setsockopt(
        socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)
    );
}

}  // namespace

Fault network_fault(const error_code& error, const std::string& what) {
    if (error == asio::error::eof || error == asio::error::connection_reset ||
        error == asio::error::broken_pipe) {
        return fail(FaultCode::Closed, what + ": closed by the other side");
    }
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
        return fail(FaultCode::Closed, what + ": closed");
    }
    if (error == asio::error::timed_out) {
        return fail(FaultCode::Timeout, what + ": what we sent was not acknowledged");
    }
    return fail(FaultCode::Unreachable, what + ": " + error.message());
}

ByteStream::ByteStream(tcp::socket socket) : socket_(std::move(socket)) {
    tune(socket_);
}

asio::awaitable<ByteStream::Moved> ByteStream::read_some(
    const std::array<std::span<std::byte>, 2>& into
) {
    const std::array<asio::mutable_buffer, 2> buffers{
        asio::mutable_buffer(into[0].data(), into[0].size()),
        asio::mutable_buffer(into[1].data(), into[1].size())};
    return socket_.async_read_some(buffers, kTuple);
}

asio::awaitable<ByteStream::Moved> ByteStream::write_some(
    const std::vector<ByteView>& from, bool packet
) {
    buffers_.clear();
    for (const auto& view : from) buffers_.emplace_back(view.data(), view.size());
    return socket_.async_send(buffers_, packet ? MSG_EOR : 0, kTuple);
}

void ByteStream::write_last(ByteView bytes) {
    error_code ignored;  // nothing more can be said to the other side
    socket_.non_blocking(true, ignored);
    (void)socket_.send(asio::buffer(bytes.data(), bytes.size()), 0, ignored);
}

void ByteStream::wake_at(std::size_t bytes) {
    const auto wanted = static_cast<int>(bytes);
    if (wanted == wake_bytes_) return;
    const auto set =
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted));
    // If the kernel refuses, each packet wakes us.
    if (set == 0) wake_bytes_ = wanted;
}

void ByteStream::limit_rate(double limit) {
    const std::uint64_t rate = limit > 0.0 ? static_cast<std::uint64_t>(limit) : ~std::uint64_t{0};
    // A kernel without this option leaves the rate to its congestion control.
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate));
}

std::size_t ByteStream::unacknowledged() {
    int bytes = 0;
    if (::ioctl(socket_.native_handle(), SIOCOUTQ, &bytes) != 0) return 0;
    return static_cast<std::size_t>(bytes);
}

void ByteStream::end_writing() {
    error_code ignored;  // the partner may have closed the socket first
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void ByteStream::close() {
    error_code ignored;  // closing is all we can do with a socket that will not close
    socket_.close(ignored);
}

}  // namespace starling::peer
