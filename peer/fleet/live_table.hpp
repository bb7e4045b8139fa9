#pragma once

// A swarm for the eyes: a table to redraw in place on a terminal, one compact line for logs, and
// the table at the end. Pure functions from views to text, cut to a width; columns that matter
// least go first when the terminal is narrow.

#include <cstddef>
#include <string>
#include <vector>

#include "peer/fleet/outcome.hpp"
#include "peer/fleet/peer_view.hpp"

namespace starling::peer {

struct FleetView {
    double seconds = 0;
    std::string until;  ///< as the user gave it, may be empty
    std::vector<PeerView> peers;
};

struct Screen {
    std::size_t columns = 80;
    std::size_t rows = 24;
};

/// Returns lines without line ends, each at most `columns` wide, at most `rows - 1` of them: the
/// cursor's own line must stay on the screen for the redraw to find its way back up.
[[nodiscard]] std::vector<std::string> render_table(const FleetView& swarm, const Screen& screen);

/// Returns one line for logs.
[[nodiscard]] std::string render_line(const FleetView& swarm);

/// Returns the lines of the table at the end.
[[nodiscard]] std::vector<std::string> render_summary(const FleetView& swarm);

}  // namespace starling::peer
