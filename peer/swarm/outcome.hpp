#pragma once

// How a swarm's run ended: the verdict that becomes the exit code, and the summary for programs.
// Pure functions of what the peers reported.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "peer/swarm/peer_view.hpp"

namespace starling::peer {

/// What training should reach. Counts (samples, steps, epochs) end training by themselves; accuracy
/// and loss are checked again on each peer's final report.
struct Target {
    std::optional<double> accuracy_min;
    std::optional<double> loss_max;

    /// Parses the value of --until.
    /// Errors    Usage
    [[nodiscard]] static Result<Target> parse(std::string_view until);
};

struct Verdict {
    int exit_code = 0;
    std::string reason;  ///< one line, empty after success
};

/// Judges a run by its survivors. A peer that chaos killed is no survivor; one that died by itself
/// is a failure, even if the others went on.
[[nodiscard]] Verdict judge(const std::vector<PeerView>& peers, const Target& target);

struct Totals {
    std::uint64_t samples = 0;  ///< by all peers, those that were killed included
    std::uint64_t bytes = 0;
    double seconds = 0;
    double samples_per_s = 0;  ///< over the whole run: start, evaluation and waiting included
};

[[nodiscard]] Totals add_up(const std::vector<PeerView>& peers, double seconds);

/// Returns the last line of `--json`: peers with a final report, and the totals.
[[nodiscard]] std::string summary_json(const std::vector<PeerView>& peers, double seconds);

}  // namespace starling::peer
