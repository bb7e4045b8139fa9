#include "peer/terms/config.hpp"

#include <bit>
#include <charconv>
#include <utility>

#include "base/spec.hpp"
#include "compute/models/models.hpp"
#include "compute/training/devices.hpp"
#include "compute/training/schedule.hpp"
#include "data/augmentation.hpp"
#include "data/partition.hpp"
#include "gossip/config.hpp"
#include "membership/config.hpp"
#include "peer/terms/class_weights.hpp"
#include "peer/terms/mix_every.hpp"
#include "peer/terms/record.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

namespace {

constexpr std::uint32_t kWaitForMax = 65536;
constexpr std::uint32_t kWeightMax = 65536;

Fault usage(std::string message) {
    return fail(FaultCode::Usage, std::move(message));
}

/// Returns the fault of a flag's value under the name of the flag, which its parser does not know.
Fault wrong(const std::string& flag, const Fault& fault) {
    return usage(flag + ": " + fault.message);
}

Result<void> validate_averaging(const PeerConfig& config) {
    const auto mix = gossip::Mix::parse(config.mix);
    if (mix.has_error()) return wrong("--mix", mix.error());
    const auto often = MixEvery::parse(config.mix_every);
    if (often.has_error()) return wrong("--mix-every", often.error());
    const bool counts = config.sync || mix->rule == gossip::Rule::Noloco;
    if (counts && often->by == MixBy::Time) {
        return usage(
            "--mix-every " + config.mix_every + ": " + (config.sync ? "--sync" : "noloco") +
            " counts steps; give their number"
        );
    }
    const auto encoding = gossip::parse_encoding(config.encoding);
    if (encoding.has_error()) return wrong("--encoding", encoding.error());
    const auto parts = gossip::parse_share(config.share);
    if (parts.has_error()) return wrong("--share", parts.error());
    const auto every = parse_duration(config.checkpoint_every);
    if (every.has_error()) return wrong("--checkpoint-every", every.error());
    if (*every < std::chrono::seconds(1)) {
        return wrong("--checkpoint-every", fail(FaultCode::Usage, "give 1s or more"));
    }
    if (config.keep < 1 || config.keep > 100) return usage("--keep: give 1 to 100 checkpoints");
    if (!config.cache.empty()) {
        const auto size = parse_size(config.cache);
        if (size.has_error()) return wrong("--cache", size.error());
    }
    if (!config.upload_limit.empty()) {
        const auto rate = parse_rate(config.upload_limit);
        if (rate.has_error()) return wrong("--upload-limit", rate.error());
    }
    if (!std::has_single_bit(config.weight_max) || config.weight_max > kWeightMax) {
        return usage(
            "--weight-max: give a power of two from 1 to " + std::to_string(kWeightMax) +
            "; 1 makes all pairs even"
        );
    }
    gossip::AveragerConfig averager;
    averager.mix = *mix;
    averager.encoding = *encoding;
    averager.parts = *parts;
    if (const auto ok = averager.validate(); ok.has_error()) {
        return wrong("--mix " + config.mix, ok.error());
    }
    return {};
}

Result<void> validate_training(const PeerConfig& config) {
    if (config.batch < 1 || config.batch > 65536) return usage("--batch: give 1 to 65536");
    if (auto ok = validate_averaging(config); ok.has_error()) return ok;
    const auto precision = compute::parse_precision(config.precision);
    if (precision.has_error()) return wrong("--precision", precision.error());
    if (auto ok = compute::check_device_name(config.device); ok.has_error()) {
        return wrong("--device " + config.device, ok.error());
    }
    // Not a number fails this comparison, too.
    if (!(config.settle > 0 && config.settle < 1))
        return usage("--settle: give a number between 0 and 1");
    if (config.threads < 0 || config.threads > 4096) return usage("--threads: give 1 to 4096");
    // What is wrong with the values shows when the data are known.
    if (auto ok = compute::check_model_spec(config.model); ok.has_error()) {
        return wrong("--model " + config.model, ok.error());
    }
    const auto optimizer = compute::OptimizerSpec::parse(config.optimizer);
    if (optimizer.has_error()) return wrong("--optimizer", optimizer.error());
    const auto partition = data::Partition::parse(config.partition);
    if (partition.has_error()) return partition.error();
    if (config.private_data && partition->owners > 0) {
        return usage("--private: each peer has samples of its own, so leave --partition out");
    }
    if (!config.schema.empty() && !config.private_data) {
        return usage(
            "--schema " + config.schema.string() +
            ": a schema is agreed on for private samples; add --private, or leave it out"
        );
    }
    if (auto ok = data::check_augment(config.augment); ok.has_error()) return ok;
    if (auto ok = parse_class_weighting(config.class_weights); ok.has_error()) {
        return wrong("--class-weights", ok.error());
    }
    if (config.wait_for < 1 || config.wait_for > kWaitForMax) {
        return usage("--wait-for: give 1 to " + std::to_string(kWaitForMax) + " peers");
    }
    const auto until = Until::parse(config.until);
    if (until.has_error()) return until.error();
    return {};
}

/// Checks an address without looking up its name, which happens later.
Result<void> validate_address(const std::string& flag, const std::string& text) {
    const auto colon = text.rfind(':');
    const auto host = text.substr(0, colon);
    std::uint16_t port = 0;
    const char* from = text.data() + (colon == std::string::npos ? text.size() : colon + 1);
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(from, end, port);
    const bool bare_v6 = host.find(':') != std::string::npos && !host.starts_with('[');
    if (error == std::errc{} && rest == end && !host.empty() && !bare_v6) return {};
    return usage(flag + ": '" + text + "' is not an address; write HOST:PORT or [::1]:PORT");
}

Result<void> validate_addresses(const PeerConfig& config) {
    std::vector<std::pair<std::string, std::string>> given{
        {"--listen", config.listen}, {"--http", config.http}, {"--advertise", config.advertise}};
    for (const auto& text : config.join) given.emplace_back("--join", text);
    for (const auto& [flag, text] : given) {
        if (text.empty() && flag != "--join") continue;
        if (auto ok = validate_address(flag, text); ok.has_error()) return ok;
    }
    const auto advertised = Endpoint::parse(config.advertise);
    if (advertised && (advertised->port == 0 || advertised->is_unspecified())) {
        return usage(
            "--advertise " + config.advertise + ": give the address and port that others dial"
        );
    }
    for (const auto& text : config.join) {
        if (const auto seed = Endpoint::parse(text); seed && seed->port == 0) {
            return usage("--join " + text + ": a member listens on a port from 1 to 65535");
        }
    }
    return {};
}

}  // namespace

Result<void> validate(const PeerConfig& config) {
    const bool founds = config.join.empty();
    if (config.membership_only && !config.dataset.empty()) {
        return usage("--membership-only trains nothing: leave --dataset out");
    }
    if (founds && !config.membership_only && config.dataset.empty() && config.state.empty()) {
        return usage(
            "nothing to train on: give --dataset SPEC to found a swarm, or --join HOST:PORT to "
            "join one"
        );
    }
    if (auto ok = validate_addresses(config); ok.has_error()) return ok;
    if (!config.name.empty() && !is_peer_name(config.name)) {
        return usage(
            "--name: give up to " + std::to_string(kNameBytesMax) +
            " letters and digits, and - _ . between them"
        );
    }
    if (const auto profile = membership::SwimConfig::profile(config.profile); profile.has_error()) {
        return wrong("--profile", profile.error());
    }
    return validate_training(config);
}

}  // namespace starling::peer
