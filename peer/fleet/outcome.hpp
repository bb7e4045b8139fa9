#pragma once

// How the run of a swarm ended: the verdict, which becomes the exit code, and the summary for
// programs. These are pure functions of what the peers reported.

#include <optional>
#include <string>
#include <vector>

#include "peer/fleet/peer_view.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

struct Verdict {
    int exit_code = 0;
    std::string reason;  ///< one line, empty after success
};

/// Judges a run by its survivors. A peer that a fault has ended is no survivor. A peer that died by
/// itself is a failure, even if the others went on. A target that is a quality is compared with
/// each survivor's final report. Other targets (samples, steps, epochs) need no check: a peer ends
/// only after it has reached them.
[[nodiscard]] Verdict judge(const std::vector<PeerView>& peers, const Until& target);

struct Totals {
    std::uint64_t samples = 0;  ///< of all peers, those that were killed included
    std::uint64_t bytes = 0;
    double seconds = 0;
    double samples_per_s = 0;       ///< over the whole run, with its start, evaluation and waiting
    std::optional<double> share{};  ///< of all private samples, those that took part to the last
};

[[nodiscard]] Totals add_up(const std::vector<PeerView>& peers, double seconds);

/// Returns the last line of `--json`: the peers with a final report, and the totals.
[[nodiscard]] std::string summary_json(const std::vector<PeerView>& peers, double seconds);

}  // namespace starling::peer
