#include "peer/fleet/launch.hpp"

#include <algorithm>

#include "peer/machine/cores.hpp"

namespace starling::peer {

std::size_t threads_of_each(const SwarmOptions& options) {
    const std::size_t cores = core_count();
    const std::size_t all = options.threads == 0 ? cores : options.threads;
    return std::max<std::size_t>(1, all / options.peers);
}

namespace {

/// Who comes later to a private swarm has no samples of its own.
std::string dataset_of(const SwarmOptions& options, std::size_t index, const Entry& entry) {
    if (!options.private_data) return entry.with_dataset ? options.dataset : std::string();
    if (options.dataset.empty() || index > options.peers) return {};
    return options.dataset + "?part=" + std::to_string(index - 1);
}

}  // namespace

ProcessOptions peer_process(const SwarmOptions& options, std::size_t index, const Entry& entry) {
    const std::string threads = std::to_string(threads_of_each(options));
    ProcessOptions process;
    const bool other = index % 2 == 0 && !options.other_program.empty();
    process.program = other ? options.other_program : options.program;
    auto& arguments = process.arguments;
    arguments = {"peer", "--listen", entry.listen, "--http", "127.0.0.1:0", "--json"};
    const auto add = [&arguments](const std::string& flag, const std::string& value) {
        arguments.push_back(flag);
        arguments.push_back(value);
    };
    add("--name", "peer-" + std::to_string(index));
    add("--threads", threads);
    add("--seed", std::to_string(options.seed + index - 1));
    if (!options.state.empty()) add("--state", options.state + "/peer-" + std::to_string(index));
    if (const auto dataset = dataset_of(options, index, entry); !dataset.empty()) {
        add("--dataset", dataset);
    }
    if (!options.key.empty()) add("--key", options.key);
    if (!options.profile.empty()) add("--profile", options.profile);
    if (!options.upload_limit.empty()) add("--upload-limit", options.upload_limit);
    if (!options.weight_max.empty()) add("--weight-max", options.weight_max);
    if (!options.precision.empty()) add("--precision", options.precision);
    if (!options.kernels.empty()) add("--kernels", options.kernels);
    if (!options.device.empty()) add("--device", options.device);
    if (!entry.join.empty()) {
        add("--join", entry.join);
    } else {
        if (options.private_data) arguments.emplace_back("--private");
        if (options.sync) arguments.emplace_back("--sync");
        for (const auto& [flag, value] : options.founder_flags) add(flag, value);
        if (!options.until.empty()) add("--until", options.until);
    }
    // Many peers share few cores. A thread that spins while it waits would take a core from others.
    process.environment = {{"OMP_NUM_THREADS", threads}, {"OMP_WAIT_POLICY", "PASSIVE"}};
    process.net_space = entry.net_space;
    // Nobody outside its network could ask it, so it is none of those that `starling status` finds.
    if (entry.net_space >= 0) process.environment.emplace_back("XDG_RUNTIME_DIR", "/nonexistent");
    return process;
}

}  // namespace starling::peer
