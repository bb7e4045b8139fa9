#pragma once

// Scenario files on the command line: reading one, and writing the reports of a run.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "peer/scenario/report.hpp"

namespace starling::peer {

struct ScenarioFile {
    scenario::Scenario scenario;
    std::vector<scenario::Step> steps;  ///< expanded
};

/// What takes the place of what a scenario file says.
struct ScenarioChanges {
    std::optional<std::uint64_t> seed;
    std::optional<std::size_t> peers;
};

/// Reads and expands a scenario.
/// Errors    Usage (one line with file, line and column)
[[nodiscard]] Result<ScenarioFile> read_scenario(
    const std::string& path, scenario::Mode mode, const ScenarioChanges& changes
);

/// Makes the folder for reports, so that a wrong one is refused before the run.
/// Errors    Io
[[nodiscard]] Result<void> make_report_folder(const std::string& folder);

/// Writes `report.json` and `report.html`.
/// Errors    Io
[[nodiscard]] Result<void> write_reports(const std::string& folder, const scenario::Run& run);

}  // namespace starling::peer
