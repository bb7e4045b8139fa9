#pragma once

// Shows a swarm to people: a table to redraw in place on a terminal, one compact line for logs, and
// the table at the end. These are pure functions from views to text. A narrow terminal loses the
// least important columns first.

#include <cstddef>
#include <string>
#include <vector>

#include "peer/fleet/peer_view.hpp"

namespace starling::peer {

struct FleetView {
    double seconds = 0;
    std::string until;  ///< the target as the user gave it; may be empty
    std::vector<PeerView> peers;
};

struct Screen {
    std::size_t columns = 80;
    std::size_t rows = 24;
};

/// Returns at most `rows - 1` lines without line ends, each at most `columns` wide. One row stays
/// free for the cursor: the redraw moves up from there, so it must not scroll off the screen.
[[nodiscard]] std::vector<std::string> render_table(const FleetView& swarm, const Screen& screen);

/// Returns one line for logs.
[[nodiscard]] std::string render_line(const FleetView& swarm);

/// Returns the lines of the table at the end.
[[nodiscard]] std::vector<std::string> render_summary(const FleetView& swarm);

}  // namespace starling::peer
