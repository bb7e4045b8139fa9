#include "peer/commands/scenario_file.hpp"

#include <span>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/machine/files.hpp"
#include "peer/scenario/check.hpp"
#include "peer/scenario/parse.hpp"
#include "peer/scenario/schedule.hpp"

namespace starling::peer {
namespace {

constexpr unsigned kReportFile = 0644;
constexpr unsigned kReportFolder = 0755;

Result<void> write(const std::filesystem::path& path, std::string_view text) {
    return write_file_atomically(path, std::as_bytes(std::span(text)), kReportFile);
}

}  // namespace

Result<ScenarioFile> read_scenario(
    const std::string& path, scenario::Mode mode, const ScenarioChanges& changes
) {
    const auto bytes = read_file(path, scenario::kFileMax);
    if (!bytes) return as_usage(fail(FaultCode::Usage, "--scenario: " + bytes.error().message));
    auto parsed = scenario::parse(as_text(*bytes), path, mode);
    if (!parsed) return parsed.error();
    parsed->seed = changes.seed.value_or(parsed->seed);
    parsed->peers = changes.peers.value_or(parsed->peers);
    if (auto ok = scenario::check(*parsed, path, mode); !ok) return ok.error();
    auto steps = scenario::expand(*parsed);
    if (!steps) return fail(FaultCode::Usage, path + ": " + steps.error().message);
    return ScenarioFile{*std::move(parsed), *std::move(steps)};
}

Result<void> make_report_folder(const std::string& folder) {
    return make_directories(real_disk(), folder, kReportFolder);
}

Result<void> write_reports(const std::string& folder, const scenario::Run& run) {
    const std::filesystem::path path(folder);
    if (auto ok = write(path / "report.json", report_json(run)); !ok) return ok;
    return write(path / "report.html", report_html(run));
}

}  // namespace starling::peer
