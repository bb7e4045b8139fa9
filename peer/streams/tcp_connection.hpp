#pragma once

// Makes a Connection from a socket. Only for files that include Asio anyway.

#include <boost/asio/ip/tcp.hpp>

#include "peer/streams/connection.hpp"

namespace starling::peer {

/// Requires  a connected socket
[[nodiscard]] ConnectionPtr tcp_connection(
    boost::asio::ip::tcp::socket socket,
    const Endpoint& remote,
    bool dialled,
    ConnectionHandler& handler
);

}  // namespace starling::peer
