#pragma once

// What the swarm command was asked for, and the command lines of its peers that follow from it.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "peer/fleet/chaos.hpp"
#include "peer/machine/process.hpp"

namespace starling::peer {

enum class OutputMode {
    Table,  ///< redrawn in place on a terminal
    Lines,  ///< one compact line now and then
    Json,   ///< the peers' events as they come, then the summary
};

struct SwarmOptions {
    std::string program;  ///< the starling binary
    std::size_t peers = 4;
    std::size_t threads = 0;  ///< of all peers together; 0: all cores
    std::uint64_t seed = 1;
    std::string key;      ///< file of the swarm key, made for this run
    std::string profile;  ///< of membership; empty: the peers' default
    std::string state;    ///< a directory for the peers' own ones, or empty
    std::string dataset;  ///< founder's part of the descriptor, joiners' local source of shards
    std::string until;
    /// Flags with their values that only the founder gets; joiners learn them from the swarm.
    std::vector<std::pair<std::string, std::string>> founder_flags;
    bool sync = false;         ///< for the founder alone, too
    std::string upload_limit;  ///< of each peer; empty: none
    std::string precision;     ///< of each peer; empty: the peers' default
    ChaosOptions chaos;
    OutputMode output = OutputMode::Lines;
};

/// How a peer comes into the swarm.
struct Entry {
    std::string join;          ///< address to join by; empty for the founder
    bool with_dataset = true;  ///< a late newcomer gets nothing but the address
};

/// Returns how many threads each peer gets: an equal part of all, one at least.
[[nodiscard]] std::size_t threads_of_each(const SwarmOptions& options);

/// Returns the program, arguments and environment of one peer; `index` counts from 1.
[[nodiscard]] ProcessOptions peer_process(
    const SwarmOptions& options, std::size_t index, const Entry& entry
);

}  // namespace starling::peer
