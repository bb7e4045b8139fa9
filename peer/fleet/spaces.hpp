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
        std::size_t peers, const scenario::Scenario& scenario, std::uint64_t seed
    );

    /// Where a peer listens, which counts from 1.
    [[nodiscard]] std::string listen(std::size_t peer) const;

    /// For ProcessOptions::net_space.
    [[nodiscard]] int space(std::size_t peer) const { return spaces_.at(peer - 1).space(); }

    /// What holds from now on, over what the scenario says of all links.
    void set(scenario::LinkFaults faults);

    /// A dark machine is silent: nothing leaves it, not even the resets of its kernel.
    void set_dark(std::size_t peer, bool dark) { router_->set_dark(peer, dark); }

    void break_streams(std::size_t peer, BrokenStreams::How how) {
        router_->break_streams(peer, how);
    }

    /// Gives a peer's network another address. Nobody may listen there now.
    /// Errors    Refused
    Result<void> move(std::size_t peer);

private:
    Spaces(std::vector<NetSpace> spaces, scenario::LinkFaults usual, std::unique_ptr<Router> router)
        : spaces_(std::move(spaces)),
          moved_(spaces_.size()),
          usual_(std::move(usual)),
          router_(std::move(router)) {}

    [[nodiscard]] std::uint32_t address(std::size_t peer) const;

    std::vector<NetSpace> spaces_;
    std::vector<bool> moved_;     ///< its address has kMovedBit
    scenario::LinkFaults usual_;  ///< what the scenario says of links while nothing is done to them
    std::unique_ptr<Router> router_;  ///< last: it uses the devices
};

}  // namespace starling::peer
