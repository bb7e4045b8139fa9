#pragma once

// The flags of `starling peer`, on the command line or in a [peer] section of --config.

#include <string>

#include "peer/terms/config.hpp"

namespace CLI {
class App;
}

namespace starling::peer {

/// Adds the flags, which set `config` and `run_for` when the app parses.
void add_peer_flags(CLI::App& command, PeerConfig& config, std::string& run_for);

/// Completes the configuration after parsing: with the flags that only a founder may give, and with
/// `run_for` and the number of threads as values.
/// Errors    Usage
[[nodiscard]] Result<void> complete_config(
    const CLI::App& command, const std::string& run_for, PeerConfig& config
);

}  // namespace starling::peer
