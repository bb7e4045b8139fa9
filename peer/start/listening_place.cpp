#include "peer/start/listening_place.hpp"

#include "peer/machine/resolve.hpp"

namespace starling::peer {

ListeningPlace listening_place(const Endpoint& wanted, const std::vector<Endpoint>& others) {
    if (!wanted.is_loopback()) return {wanted};
    for (const auto& other : others) {
        if (other.is_loopback()) continue;
        auto local = local_address_towards(other);
        if (!local || local->is_loopback()) continue;
        local->port = wanted.port;
        return {*local, other};
    }
    return {wanted};
}

std::optional<Endpoint> outward_address(std::uint16_t port) {
    // Addresses for documentation (RFC 5737, RFC 3849): every route to the internet leads there.
    for (const char* anywhere : {"192.0.2.1:9", "[2001:db8::1]:9"}) {
        auto local = local_address_towards(*Endpoint::parse(anywhere));
        if (!local || local->is_loopback()) continue;
        local->port = port;
        return local;
    }
    return std::nullopt;
}

}  // namespace starling::peer
