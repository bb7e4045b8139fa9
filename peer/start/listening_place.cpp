#include "peer/start/listening_place.hpp"

#include "peer/machine/resolve.hpp"
#include "peer/terms/config.hpp"

namespace starling::peer {

Result<ListeningPlace> listening_place(
    const Endpoint& wanted, const std::vector<Endpoint>& others, bool insecure
) {
    if (!wanted.is_loopback()) return ListeningPlace{wanted};
    for (const auto& other : others) {
        if (other.is_loopback()) continue;
        auto local = local_address_towards(other);
        if (!local || local->is_loopback()) continue;
        local->port = wanted.port;
        if (check_exposure(*local, insecure).has_error()) {
            return fail(
                FaultCode::Refused,
                other.to_string() + " is on another machine, which cannot reach this peer at " +
                    wanted.to_string() + ": give --listen " + local->to_string() +
                    " --insecure if you trust the network (this release does not encrypt streams)"
            );
        }
        return ListeningPlace{*local, other};
    }
    return ListeningPlace{wanted};
}

}  // namespace starling::peer
