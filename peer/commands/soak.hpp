#pragma once

// Drawn scenarios, one after another, until one shows a fault or the time is over.

#include <cstdint>
#include <functional>
#include <string>

#include "base/instant.hpp"
#include "peer/fleet/scenario_run.hpp"
#include "peer/scenario/draw.hpp"

namespace starling::peer {

struct SoakOptions {
    std::string command;  ///< for messages: `swarm` or `simulate`
    std::string length;   ///< as in a scenario: 30m, 8h
    std::uint64_t seed = 1;
    std::string folder;  ///< for the log, from which a later soak goes on, and for what is found
    scenario::DrawOptions draw;
};

/// Runs scenarios by `run`, which gets the file and a folder for reports. Returns an exit code: 0 if the
/// time is over and all were clean, 1 at the first finding, whose file and report stay in the folder, or
/// when interrupted; 2 for wrong options.
[[nodiscard]] int soak(
    const SoakOptions& options,
    const std::function<ScenarioEnd(const std::string& file, const std::string& report)>& run
);

}  // namespace starling::peer
