#pragma once

// Converts between our plain Endpoint and Asio's. Only for files that include Asio anyway.

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "base/endpoint.hpp"

namespace starling::peer {

template <class Protocol>
typename Protocol::endpoint to_asio(const Endpoint& endpoint) {
    if (endpoint.is_v4()) {
        boost::asio::ip::address_v4::bytes_type bytes;
        std::copy(endpoint.address.begin() + 12, endpoint.address.end(), bytes.begin());
        return {boost::asio::ip::address_v4(bytes), endpoint.port};
    }
    boost::asio::ip::address_v6::bytes_type bytes;
    std::copy(endpoint.address.begin(), endpoint.address.end(), bytes.begin());
    return {boost::asio::ip::address_v6(bytes), endpoint.port};
}

template <class AsioEndpoint>
Endpoint from_asio(const AsioEndpoint& from) {
    if (from.address().is_v4()) {
        return Endpoint::v4(from.address().to_v4().to_uint(), from.port());
    }
    const auto bytes = from.address().to_v6().to_bytes();
    Endpoint endpoint;
    std::copy(bytes.begin(), bytes.end(), endpoint.address.begin());
    endpoint.port = from.port();
    return endpoint;
}

}  // namespace starling::peer
