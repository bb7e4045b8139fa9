#include "peer/averaging/averaging_options.hpp"

#include <bit>

namespace starling::peer {

namespace {

constexpr std::uint64_t kPartnerPurpose = 2;

}  // namespace

Result<gossip::AveragerConfig> averager_config(const Descriptor& descriptor) {
    gossip::AveragerConfig config;
    const auto mix = gossip::Mix::parse(descriptor.mix);
    if (mix.has_error()) return mix.error();
    const auto encoding = gossip::parse_encoding(descriptor.encoding);
    if (encoding.has_error()) return encoding.error();
    config.mix = *mix;
    config.encoding = *encoding;
    config.parts = descriptor.parts;
    config.adapt_window = true;
    config.sync_seed = descriptor.seed;
    if (auto ok = config.validate(); ok.has_error()) return ok.error();
    return config;
}

gossip::AveragerConfig own_averager_config(const Descriptor& descriptor, const PeerConfig& config) {
    auto own = *averager_config(descriptor);
    own.weight_max = static_cast<std::uint8_t>(std::countr_zero(config.weight_max));
    return own;
}

Rng averaging_rng(std::uint64_t seed, const PeerId& self, std::uint64_t process) {
    return Rng(seed ^ self.prefix64()).fork(kPartnerPurpose).fork(process);
}

}  // namespace starling::peer
