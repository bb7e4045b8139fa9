// starling peer: runs one peer, which founds, joins or resumes a swarm.

#include <CLI/CLI.hpp>
#include <memory>

#include "compute/training/devices.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/peer_flags.hpp"
#include "peer/machine/surroundings.hpp"
#include "peer/node/node.hpp"
#include "peer/terms/data_set.hpp"

namespace starling::peer {

namespace {

int complain(const Fault& fault) {
    return report_fault("peer", fault);
}

/// A joiner reads its data only after it has joined, so a path that is not there is found here, before
/// anybody hears of this peer and before a state directory is made.
Result<void> check_dataset_path(const PeerConfig& config) {
    if (config.dataset.empty()) return {};
    return check_data_set(config.dataset);
}

/// A device that was asked for and is not there is found here, before anybody hears of this peer.
Result<void> check_device(const PeerConfig& config) {
    if (config.device == "auto" || config.membership_only) return {};
    const auto device = compute::find_device(config.device);
    if (device) return {};
    return fail(FaultCode::Usage, "--device " + config.device + ": " + device.error().message);
}

int run_peer(const CLI::App& command, const std::string& run_for, PeerConfig config) {
    if (auto ok = complete_config(command, run_for, config); ok.has_error()) {
        return complain(ok.error());
    }
    if (const auto ok = validate(config); ok.has_error()) return complain(ok.error());
    if (const auto ok = check_dataset_path(config); ok.has_error()) return complain(ok.error());
    if (const auto ok = check_device(config); ok.has_error()) return complain(ok.error());
    survive_failed_writes();
    Node node(std::move(config));
    const auto ended = node.run();
    node.flush_lines();
    return ended.has_error() ? complain(ended.error()) : kExitDone;
}

}  // namespace

void add_peer(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand("peer", "Run one peer: found a swarm, or join one");
    auto config = std::make_shared<PeerConfig>();
    auto run_for = std::make_shared<std::string>();
    add_peer_flags(*command, *config, *run_for);
    command->footer(
        "Examples:\n"
        "  starling peer --dataset idx:/usr/share/datasets/fashion-mnist --model cnn --until "
        "accuracy=0.9\n"
        "  starling peer --join 127.0.0.1:7300\n"
        "  starling peer --state ~/.starling        resume where it stopped"
    );
    command->callback([command, config, run_for, &chosen] {
        chosen = [command, config, run_for] { return run_peer(*command, *run_for, *config); };
    });
}

}  // namespace starling::peer
