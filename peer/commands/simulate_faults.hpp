#pragma once

// The flags of `starling simulate` that say what goes wrong with links and machines.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

#include "peer/virtual/campaign.hpp"

namespace starling::peer {

/// As the user gave them.
struct FaultFlags {
    std::string loss_burst = "0s";
    std::string downlink;
    std::string duplicate = "0%";
    std::string reset = "0%";
    std::string pause = "0/min";
    std::string leave = "0/min";
    std::string one_way = "0/min";
    std::string clog = "0/min";
    std::string fault_time = "10s";
    std::size_t flap = 0;
    std::string slow = "0%";
    std::int32_t clock_error = 0;
};

void add_fault_flags(CLI::App& command, FaultFlags& flags);

/// Puts what the flags say into `options`.
///
/// Errors    throws CLI::ValidationError
void interpret_faults(const FaultFlags& flags, peer_virtual::CampaignOptions& options);

}  // namespace starling::peer
