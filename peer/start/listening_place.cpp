#include "peer/start/listening_place.hpp"

#include "peer/machine/resolve.hpp"

namespace starling::peer {

namespace {

/// Returns the address of this machine from which packets to the first of `others` leave that is on another
/// machine, and that one.
std::optional<ListeningPlace> place_towards(
    std::uint16_t port, const std::vector<Endpoint>& others
) {
    for (const auto& other : others) {
        if (other.is_loopback()) continue;
        auto local = local_address_towards(other);
        if (!local || local->is_loopback()) continue;
        local->port = port;
        return ListeningPlace{*local, other};
    }
    return std::nullopt;
}

}  // namespace

ListeningPlace listening_place(const Endpoint& wanted, const std::vector<Endpoint>& others) {
    if (!wanted.is_loopback()) return {wanted};
    return place_towards(wanted.port, others).value_or(ListeningPlace{wanted});
}

std::optional<Endpoint> outward_address(std::uint16_t port, const std::vector<Endpoint>& others) {
    auto towards = others;
    // Addresses for documentation (RFC 5737, RFC 3849): every route to the internet leads there.
    towards.push_back(*Endpoint::parse("192.0.2.1:9"));
    towards.push_back(*Endpoint::parse("[2001:db8::1]:9"));
    if (const auto place = place_towards(port, towards)) return place->at;
    auto local = network_address();
    if (local) local->port = port;
    return local;
}

}  // namespace starling::peer
