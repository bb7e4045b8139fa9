#pragma once

// How a swarm's run ended: the verdict that becomes the exit code, and the summary for programs.
// Pure functions of what the peers reported.

#include <string>
#include <vector>

#include "peer/swarm/peer_view.hpp"
#include "peer/until.hpp"

namespace starling::peer {

struct Verdict {
    int exit_code = 0;
    std::string reason;  ///< one line, empty after success
};

/// Judges a run by its survivors. A peer that chaos killed is no survivor; one that died by itself
/// is a failure, even if the others went on. A target of accuracy or loss is checked again on each
/// peer's final report; counts (samples, steps, epochs) end training by themselves.
[[nodiscard]] Verdict judge(const std::vector<PeerView>& peers, const Until& target);

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
