#include "peer/fleet/spaces.hpp"

#include <fmt/format.h>
#include <optional>
#include <utility>

namespace starling::peer {
namespace {

constexpr unsigned kPort = 7300;
/// A network and its device take three descriptors, and a peer's output two.
constexpr std::size_t kSpacesMax = 200;

NetSpaceOptions at(std::uint32_t address) {
    NetSpaceOptions options;
    options.address = address;
    options.prefix = kLinksPrefix;
    return options;
}

}  // namespace

Result<Spaces> Spaces::make(
    std::size_t peers, const scenario::Scenario& scenario, std::uint64_t seed
) {
    if (peers > kSpacesMax) {
        return fail(
            FaultCode::Refused,
            fmt::format("{} peers have no network each; at most {} have", peers, kSpacesMax)
        );
    }
    std::vector<NetSpace> spaces;
    std::vector<int> devices;
    for (std::size_t i = 1; i <= peers; ++i) {
        auto space = NetSpace::make(at(kLinksNet + static_cast<std::uint32_t>(i)));
        if (!space) return space.error();
        devices.push_back(space->device());
        spaces.push_back(*std::move(space));
    }
    auto router = Router::start(std::move(devices), seed);
    if (!router) return router.error();
    scenario::LinkFaults usual;
    usual.take(values_of(scenario.links));
    for (const auto& own : scenario.own_links) usual.parts.push_back(part_of(own));
    Spaces made(std::move(spaces), std::move(usual), *std::move(router));
    made.set({});
    return made;
}

std::uint32_t Spaces::address(std::size_t peer) const {
    return (kLinksNet + static_cast<std::uint32_t>(peer)) | (moved_[peer - 1] ? kMovedBit : 0U);
}

std::string Spaces::listen(std::size_t peer) const {
    const auto low = address(peer) - kLinksNet;
    return fmt::format("10.77.{}.{}:{}", low >> 8U, low & 0xFFU, kPort);
}

void Spaces::set(scenario::LinkFaults faults) {
    auto all = usual_;
    all.take(faults);
    all.parts.insert(all.parts.end(), faults.parts.begin(), faults.parts.end());
    all.barriers = std::move(faults.barriers);
    router_->set(all);
}

Result<void> Spaces::move(std::size_t peer) {
    moved_.at(peer - 1) = !moved_.at(peer - 1);
    return spaces_.at(peer - 1).set_address(at(address(peer)));
}

}  // namespace starling::peer
