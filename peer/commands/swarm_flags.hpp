#pragma once

// What the ways to run a swarm share: the flags of the command, its temporary folder, its key.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "peer/fleet/launch.hpp"

namespace starling::peer {

/// A scenario that comes from standard input.
inline constexpr const char* kStandardInput = "-";

struct SwarmFlags {
    SwarmOptions options;
    std::vector<std::string> founder;  ///< values in the order of founder_flags()
    std::string chaos;
    std::string scenario;
    std::string report;
    std::string network;
    std::string soak;
    std::optional<std::uint64_t> seed;        ///< if the user has given one
    std::vector<CLI::Option*> not_with_file;  ///< a scenario file says what these say
    std::size_t repeat = 1;                   ///< runs of the scenario
    bool can = false;                         ///< only say which faults can be done here
    bool json = false;
};

/// A temporary directory for this run, which is removed after it.
class TemporaryFolder {
public:
    TemporaryFolder() = default;
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    /// Makes it and returns its path.
    /// Errors    Io
    Result<std::filesystem::path> make();

private:
    std::filesystem::path path_;
};

/// Prints a fault of the flags and returns its exit code.
int swarm_usage_error(const std::string& message);

/// Adds the number of peers as `owners` if the user has not given it. It does not check the text: the
/// founder does.
[[nodiscard]] std::string for_all_peers(const std::string& partition, std::size_t peers);

/// Hands the values of the training flags to the founder.
void take_founder_values(SwarmFlags& flags);

/// Runs the swarm with the key that `--state` or a temporary directory has.
int run_with_key(SwarmFlags& flags, const std::function<int()>& go);

// The ways to run scenarios. Each returns an exit code.

/// The scenario of a file. All that can be wrong with the file is found before a peer starts.
[[nodiscard]] int run_scenario_file(SwarmFlags flags);

/// Drawn scenarios, again and again.
[[nodiscard]] int run_soak(SwarmFlags flags);

/// A swarm whose faults come from standard input.
[[nodiscard]] int run_live(SwarmFlags flags);

/// Says which faults can be done to real peers here.
[[nodiscard]] int tell_what_can_be_done();

}  // namespace starling::peer
