#pragma once

// Endpoint to Asio and back. Header only, for the few files in peer/ that include Asio.

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "base/endpoint.hpp"

namespace starling {

/// Returns the endpoint for a protocol: `to_asio<boost::asio::ip::tcp>(endpoint)`. An IPv4-mapped
/// address becomes a plain IPv4 one, so that IPv4 works where IPv6 is switched off.
template <class Protocol>
[[nodiscard]] typename Protocol::endpoint to_asio(const Endpoint& endpoint) {
    namespace ip = boost::asio::ip;
    ip::address_v6::bytes_type bytes{};
    std::copy(endpoint.address.begin(), endpoint.address.end(), bytes.begin());
    const ip::address_v6 v6(bytes);
    if (endpoint.is_v4()) return {ip::make_address_v4(ip::v4_mapped, v6), endpoint.port};
    return {v6, endpoint.port};
}

/// Returns an Asio endpoint of any protocol as ours.
template <class AsioEndpoint>
[[nodiscard]] Endpoint from_asio(const AsioEndpoint& endpoint) {
    namespace ip = boost::asio::ip;
    const auto address = endpoint.address();
    const auto v6 =
        address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()) : address.to_v6();
    Endpoint result;
    const auto bytes = v6.to_bytes();
    std::copy(bytes.begin(), bytes.end(), result.address.begin());
    result.port = endpoint.port();
    return result;
}

}  // namespace starling
