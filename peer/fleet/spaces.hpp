#pragma once

// The network of a scenario whose links fail: each peer has a network of its own (peer/machine/net_space),
// and a router carries packets between them. All of it ends with this process, however that ends.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "peer/fleet/router.hpp"
#include "peer/machine/net_space.hpp"
#include "peer/scenario/scenario.hpp"

namespace starling::peer {

class Spaces {
public:
    /// Makes networks for so many peers.
    /// Errors    Refused (this machine or user cannot; says what is missing), Io
    [[nodiscard]] static Result<Spaces> make(
        std::size_t peers, const scenario::Links& links, std::uint64_t seed
    );

    /// Where a peer listens, which counts from 1.
    [[nodiscard]] std::string listen(std::size_t peer) const;

    /// For ProcessOptions::net_space.
    [[nodiscard]] int space(std::size_t peer) const { return spaces_.at(peer - 1).space(); }

    /// What holds from now on, over what the scenario says of all links.
    void set(scenario::LinkFaults faults);

    /// A dark machine is silent: nothing leaves it, not even the resets of its kernel.
    void set_dark(std::size_t peer, bool dark) { router_->set_dark(peer, dark); }

private:
    Spaces(std::vector<NetSpace> spaces, scenario::Links links, std::unique_ptr<Router> router)
        : spaces_(std::move(spaces)),
          links_(std::move(links)),
          router_(std::move(router)) {}

    std::vector<NetSpace> spaces_;
    scenario::Links links_;
    std::unique_ptr<Router> router_;  ///< last: it uses the devices
};

}  // namespace starling::peer
