#include "peer/commands/simulate_faults.hpp"

#include "peer/commands/quantities.hpp"

namespace starling::peer {

void add_fault_flags(CLI::App& command, FaultFlags& flags) {
    const std::string group = "Faults";
    const auto add = [&](const char* name, auto& value, const char* what) {
        return command.add_option(name, value, what)->group(group)->capture_default_str();
    };
    add("--loss-burst",
        flags.loss_burst,
        "Lose everything for so long at a time, --loss of the time");
    command.add_option("--downlink", flags.downlink, "What a peer can receive: 10Mbit (no limit)")
        ->group(group);
    add("--duplicate", flags.duplicate, "Share of datagrams that come twice");
    add("--reset", flags.reset, "Chance that a stream breaks when something is sent on it");
    add("--pause", flags.pause, "Processes that stop for --fault-time, such as 2/min");
    add("--leave", flags.leave, "Peers that say goodbye; each is back after --fault-time");
    add("--one-way", flags.one_way, "Peers of which nothing arrives anywhere for --fault-time");
    add("--clog", flags.clog, "Peers whose packets are held back for --fault-time");
    add("--fault-time", flags.fault_time, "How long one of these four lasts");
    add("--flap", flags.flap, "So many peers are cut off for 20 s out of 40 s");
    add("--slow", flags.slow, "Share of the peers that take 5 ms for every event");
    add("--clock-error", flags.clock_error, "Clocks run up to so many millionths fast or slow")
        ->check(CLI::Range(0, 10'000));
}

void interpret_faults(const FaultFlags& flags, peer_virtual::CampaignOptions& options) {
    auto& network = options.network;
    network.loss_burst = parse_duration("--loss-burst", flags.loss_burst);
    if (!flags.downlink.empty()) network.downlink = parse_bandwidth("--downlink", flags.downlink);
    network.duplicate = parse_share("--duplicate", flags.duplicate);
    network.stream_reset = parse_share("--reset", flags.reset);
    auto& faults = options.faults;
    faults.pauses = parse_per_minute("--pause", flags.pause);
    faults.leaves = parse_per_minute("--leave", flags.leave);
    faults.one_ways = parse_per_minute("--one-way", flags.one_way);
    faults.clogs = parse_per_minute("--clog", flags.clog);
    faults.lasts = parse_duration("--fault-time", flags.fault_time);
    if (faults.lasts <= Duration::zero())
        wrong("--fault-time", flags.fault_time, "longer than nothing");
    faults.flapping = flags.flap;
    faults.slow = parse_share("--slow", flags.slow);
    faults.clock_error = flags.clock_error;
}

}  // namespace starling::peer
