#pragma once

// The bytes of one stream: a thin layer over its socket. Only for files that include Asio anyway.
//
// Thread    network

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "peer/streams/tcp_facts.hpp"

namespace starling::peer {

/// Returns what a failed read, write or dial of a stream means.
[[nodiscard]] Fault network_fault(const boost::system::error_code& error, const std::string& what);

class ByteStream {
public:
    using Moved = std::tuple<boost::system::error_code, std::size_t>;

    /// Requires  a connected socket
    explicit ByteStream(boost::asio::ip::tcp::socket socket);

    [[nodiscard]] auto executor() { return socket_.get_executor(); }

    /// Reads at least one byte, into the first span as long as it has room.
    [[nodiscard]] boost::asio::awaitable<Moved> read_some(
        const std::array<std::span<std::byte>, 2>& into
    );

    /// Writes some of the bytes. With `packet` no later write joins them in a packet.
    [[nodiscard]] boost::asio::awaitable<Moved> write_some(
        const std::vector<ByteView>& from, bool packet
    );

    /// Writes what the kernel takes at once, before the stream is closed.
    void write_last(ByteView bytes);

    /// Asks the kernel to wake the reader only for at least this many bytes. When the number is
    /// lowered, the reader wakes up at once if that many are there.
    void wake_at(std::size_t bytes);

    /// Sets the most bytes per second that leave; 0: no limit.
    void limit_rate(double rate);

    /// Returns how many bytes are in our kernel, sent or not, that the partner's has not
    /// acknowledged.
    [[nodiscard]] std::size_t unacknowledged();

    [[nodiscard]] TcpFacts facts() { return tcp_facts(socket_.native_handle()); }

    [[nodiscard]] bool is_open() const { return socket_.is_open(); }

    /// Tells the partner that no more bytes come. It may go on sending.
    void end_writing();
    void close();

private:
    boost::asio::ip::tcp::socket socket_;
    std::vector<boost::asio::const_buffer> buffers_;  ///< of the write in flight
    int wake_bytes_ = 1;
};

}  // namespace starling::peer
