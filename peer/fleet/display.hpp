#pragma once

// The output of the swarm command: a table on a terminal, lines elsewhere, JSON for programs.
//
// Thread    one

#include <optional>
#include <string>

#include "base/instant.hpp"
#include "peer/fleet/launch.hpp"
#include "peer/fleet/live_table.hpp"

namespace starling::peer {

class Display {
public:
    explicit Display(OutputMode mode) : mode_(mode) {}

    /// Writes one line about an event: on a terminal above the table, with JSON and answers on stderr.
    void note(const std::string& text);

    /// Writes one JSON object. Does nothing in the other modes.
    void json(const std::string& line);

    /// Writes an answer to whoever steers the run.
    static void answer(const std::string& line);

    /// Redraws the table or writes a line, if the last time was long enough ago.
    void update(const FleetView& swarm, Instant now);

    /// Erases the table and writes the summary.
    void finish(const FleetView& swarm);

private:
    void erase_table();

    OutputMode mode_;
    std::size_t drawn_lines_ = 0;
    std::optional<Instant> updated_at_;
};

}  // namespace starling::peer
