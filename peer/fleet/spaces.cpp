#include "peer/fleet/spaces.hpp"

#include <fmt/format.h>
#include <optional>
#include <utility>

namespace starling::peer {
namespace {

constexpr unsigned kPort = 7300;
/// A network and its device take three descriptors, and a peer's output two.
constexpr std::size_t kSpacesMax = 200;

template <class T>
void otherwise(std::optional<T>& value, const std::optional<T>& other) {
    if (!value) value = other;
}

}  // namespace

Result<Spaces> Spaces::make(std::size_t peers, const scenario::Links& links, std::uint64_t seed) {
    if (peers > kSpacesMax) {
        return fail(
            FaultCode::Refused,
            fmt::format("{} peers have no network each; at most {} have", peers, kSpacesMax)
        );
    }
    std::vector<NetSpace> spaces;
    std::vector<int> devices;
    for (std::size_t i = 1; i <= peers; ++i) {
        NetSpaceOptions options;
        options.address = kLinksNet + static_cast<std::uint32_t>(i);
        options.prefix = kLinksPrefix;
        auto space = NetSpace::make(options);
        if (!space) return space.error();
        devices.push_back(space->device());
        spaces.push_back(*std::move(space));
    }
    auto router = Router::start(std::move(devices), seed);
    if (!router) return router.error();
    Spaces made(std::move(spaces), links, *std::move(router));
    made.set({});
    return made;
}

std::string Spaces::listen(std::size_t peer) const {
    return fmt::format("10.77.{}.{}:{}", peer / 256, peer % 256, kPort);
}

void Spaces::set(scenario::LinkFaults faults) {
    otherwise(faults.loss, links_.loss);
    otherwise(faults.delay, links_.delay);
    otherwise(faults.jitter, links_.jitter);
    otherwise(faults.rate, links_.rate);
    router_->set(faults);
}

}  // namespace starling::peer
