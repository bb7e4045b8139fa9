#pragma once

// The options of the swarm command, and the command lines of its peers that follow from them.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "peer/machine/process.hpp"

namespace starling::peer {

enum class OutputMode {
    Table,    ///< redrawn in place on a terminal
    Lines,    ///< one compact line now and then
    Json,     ///< the peers' events as they come, then the summary
    Answers,  ///< answers to what is asked on standard input, and nothing else
};

struct SwarmOptions {
    std::string program;        ///< the starling binary
    std::string other_program;  ///< what every second peer runs; empty: the same
    std::size_t peers = 4;
    std::size_t threads = 0;  ///< compute threads of all peers together; 0: all cores
    std::uint64_t seed = 1;
    std::string key;      ///< file with the swarm key of this run; empty: none
    std::string profile;  ///< membership profile; empty: the peers' default
    std::string state;    ///< directory in which the peers have their state directories, or empty
    std::string dataset;  ///< the founder's data; joiners cut their own shards from it
    std::string until;
    /// Flags, with their values, that only the founder gets. Joiners learn them from the swarm.
    std::vector<std::pair<std::string, std::string>> founder_flags;
    /// Each peer brings its own part of `dataset`, which is a folder of shards with a partition.
    bool private_data = false;
    bool sync = false;         ///< only the founder gets this flag, too
    std::string upload_limit;  ///< upload limit of each peer; empty: none
    std::string weight_max;    ///< of each peer; empty: the peers' default
    std::string precision;     ///< precision of each peer; empty: the peers' default
    std::string kernels;       ///< how each peer chooses its kernels; empty: the peers' default
    std::string device;        ///< device of each peer; empty: the peers' default
    OutputMode output = OutputMode::Lines;
};

/// How a peer enters the swarm.
struct Entry {
    std::string join;          ///< address to join by; empty for the founder
    bool with_dataset = true;  ///< false for a late newcomer, which fetches its shards
    std::string listen = "127.0.0.1:0";
    int net_space = -1;  ///< the network that it runs in; -1: ours
};

/// Returns how many threads each peer gets: an equal share of all, at least one.
[[nodiscard]] std::size_t threads_of_each(const SwarmOptions& options);

/// Returns the program, arguments and environment of one peer; `index` counts from 1.
[[nodiscard]] ProcessOptions peer_process(
    const SwarmOptions& options, std::size_t index, const Entry& entry
);

}  // namespace starling::peer
