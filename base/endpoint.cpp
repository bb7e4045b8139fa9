#include "base/endpoint.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>

#include "base/rng.hpp"

namespace starling {

namespace {

constexpr std::array<std::uint8_t, 12> kV4Prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

Endpoint Endpoint::v4(std::uint32_t address, std::uint16_t port) {
    Endpoint endpoint;
    std::copy(kV4Prefix.begin(), kV4Prefix.end(), endpoint.address.begin());
    for (std::size_t i = 0; i < 4; ++i) {
        endpoint.address[12 + i] = static_cast<std::uint8_t>(address >> (24U - 8U * i));
    }
    endpoint.port = port;
    return endpoint;
}

bool Endpoint::is_v4() const {
    return std::equal(kV4Prefix.begin(), kV4Prefix.end(), address.begin());
}

bool Endpoint::is_loopback() const {
    if (is_v4()) return address[12] == 127;
    static constexpr std::array<std::uint8_t, 16> kV6Loopback{
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    return address == kV6Loopback;
}

bool Endpoint::is_unspecified() const {
    const auto first = address.begin() + (is_v4() ? 12 : 0);
    return std::all_of(first, address.end(), [](std::uint8_t byte) { return byte == 0; });
}

std::string Endpoint::to_string() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (is_v4()) {
        ::inet_ntop(AF_INET, address.data() + 12, text.data(), text.size());
        return std::string(text.data()) + ":" + std::to_string(port);
    }
    ::inet_ntop(AF_INET6, address.data(), text.data(), text.size());
    return "[" + std::string(text.data()) + "]:" + std::to_string(port);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
    const auto bad = [&] {
        return fail(
            FaultCode::BadFormat,
            "'" + std::string(text) + "' is not an address; write 127.0.0.1:7000 or [::1]:7000"
        );
    };
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return bad();
    const auto port_text = text.substr(colon + 1);
    Endpoint endpoint;
    const auto [end, error] =
        std::from_chars(port_text.data(), port_text.data() + port_text.size(), endpoint.port);
    if (error != std::errc{} || end != port_text.data() + port_text.size()) return bad();
    std::string host(text.substr(0, colon));
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
        if (::inet_pton(AF_INET6, host.c_str(), endpoint.address.data()) != 1) return bad();
        return endpoint;
    }
    std::copy(kV4Prefix.begin(), kV4Prefix.end(), endpoint.address.begin());
    if (::inet_pton(AF_INET, host.c_str(), endpoint.address.data() + 12) != 1) return bad();
    return endpoint;
}

}  // namespace starling

std::size_t std::hash<starling::Endpoint>::operator()(const starling::Endpoint& endpoint
) const noexcept {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, endpoint.address.data(), 8);
    std::memcpy(&low, endpoint.address.data() + 8, 8);
    return static_cast<std::size_t>(
        starling::mix64(high ^ starling::mix64(low ^ starling::mix64(endpoint.port)))
    );
}
