#include "peer/commands/swarm_scenario.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>
#include <utility>

#include "base/printable.hpp"
#include "peer/commands/founder_flags.hpp"

namespace starling::peer {
namespace {

/// How long a run is left alone at its end.
constexpr Duration kLiveCalm = std::chrono::seconds(8);
constexpr Duration kLiveLimit = std::chrono::hours(24 * 30);
/// Peers that may be added to a run. Each has its network from the start.
constexpr std::size_t kLiveSpare = 32;

/// Settings that each peer gets.
std::string* option_of_each(SwarmOptions& options, std::string_view key) {
    if (key == "dataset") return &options.dataset;
    if (key == "until") return &options.until;
    if (key == "upload-limit") return &options.upload_limit;
    if (key == "weight-max") return &options.weight_max;
    if (key == "precision") return &options.precision;
    if (key == "kernels") return &options.kernels;
    if (key == "device") return &options.device;
    return nullptr;
}

std::string known_keys() {
    std::string keys = "dataset";
    for (const auto& flag : founder_flags()) {
        const std::string_view name = std::string_view(flag.name).substr(2);
        if (name != "private") keys += ", " + std::string(name);
    }
    return keys + ", upload-limit, weight-max, precision, kernels, device";
}

/// Takes a setting that only the founder gets. Returns false if there is none of this name.
bool take_founder_flag(const scenario::Setting& setting, SwarmOptions& options) {
    if (setting.key == "sync") {
        options.sync = setting.value == "true";
        return options.sync;
    }
    const auto known = founder_flags();
    const auto name = "--" + setting.key;
    const auto found = std::find_if(known.begin(), known.end(), [&](const FounderFlag& flag) {
        return flag.name == name && !flag.is_switch();
    });
    if (found == known.end()) return false;
    options.founder_flags.emplace_back(name, setting.value);
    return true;
}

}  // namespace

scenario::Scenario live_scenario(const SwarmOptions& options) {
    scenario::Scenario scenario;
    scenario.name = "actions from standard input";
    scenario.seed = options.seed;
    scenario.peers = options.peers;
    scenario.threads = threads_of_each(options);
    scenario.profile = options.profile;
    scenario.calm = kLiveCalm;
    scenario.limit = kLiveLimit;
    scenario.spare = kLiveSpare;
    return scenario;
}

std::string verbs_table(const std::string& missing) {
    using scenario::Mode;
    std::string table;
    for (std::size_t i = 0; i < scenario::kVerbs; ++i) {
        const auto verb = static_cast<scenario::Verb>(i);
        std::string can = "starling simulate alone";
        if (scenario::can(Mode::Loopback, verb)) {
            can = "yes";
        } else if (scenario::can(Mode::Spaces, verb)) {
            can = missing.empty() ? "yes, with networks of their own" : "not here";
        } else {
            can += fmt::format(": {}", why_not(Mode::Spaces, verb));
        }
        if (!scenario::can(Mode::Simulate, verb)) {
            can += fmt::format("; not with starling simulate: {}", why_not(Mode::Simulate, verb));
        }
        table += fmt::format("{:<16} {}\n", to_string(verb), can);
    }
    if (missing.empty()) return table;
    return table + "not here: " + missing + "\n";
}

Result<void> apply_scenario(
    const scenario::Scenario& scenario, const std::string& file, SwarmOptions& options
) {
    options.peers = scenario.peers;
    options.threads = scenario.threads * scenario.peers;
    options.seed = scenario.seed;
    options.profile = scenario.profile;
    for (const auto& setting : scenario.train) {
        if (auto* const option = option_of_each(options, setting.key)) {
            *option = setting.value;
        } else if (!take_founder_flag(setting, options)) {
            return fail(
                FaultCode::Usage,
                fmt::format(
                    "{}:{}:{}: [train] cannot take {} = {}; it has {}",
                    file,
                    setting.place.line,
                    setting.place.column,
                    excerpt(setting.key),
                    excerpt(setting.value),
                    known_keys()
                )
            );
        }
    }
    return {};
}

}  // namespace starling::peer
