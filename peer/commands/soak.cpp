#include "peer/commands/soak.hpp"

#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <span>
#include <system_error>
#include <utility>

#include "peer/commands/commands.hpp"
#include "peer/commands/scenario_file.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/machine/files.hpp"
#include "peer/scenario/words.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kScenarioFile = 0644;

/// One line for each scenario: its seed and whether it was clean.
class Log {
public:
    explicit Log(fs::path path) : path_(std::move(path)) {}

    /// Returns the seed with which to go on.
    [[nodiscard]] std::uint64_t next(std::uint64_t first) const {
        std::ifstream file(path_);
        std::uint64_t seed = first;
        std::uint64_t done = 0;
        for (std::string line; std::getline(file, line);) {
            if (std::sscanf(line.c_str(), "seed %lu", &done) == 1 && done >= seed) seed = done + 1;
        }
        return seed;
    }

    void add(const std::string& line) const { std::ofstream(path_, std::ios::app) << line << '\n'; }

private:
    fs::path path_;
};

}  // namespace

int soak(
    const SoakOptions& options,
    const std::function<ScenarioEnd(const std::string& file, const std::string& report)>& run
) {
    const auto length = scenario::parse_duration(options.length);
    if (!length) {
        const auto fault = fail(FaultCode::Usage, "--soak: " + length.error().message);
        return report_fault(options.command.c_str(), fault);
    }
    const auto made = make_report_folder(options.folder);
    if (!made) return report_fault(options.command.c_str(), as_usage(made.error()));
    const fs::path folder(options.folder);
    const Log log(folder / "soak.log");
    const auto began = real_now();
    std::size_t count = 0;
    for (auto seed = log.next(options.seed); real_now() - began < *length; ++seed, ++count) {
        const auto report = (folder / fmt::format("seed-{}", seed)).string();
        const auto file = report + ".toml";
        const auto text = draw_scenario(seed, options.draw);
        const auto written =
            write_file_atomically(file, std::as_bytes(std::span(text)), kScenarioFile);
        if (!written) return report_fault(options.command.c_str(), written.error());
        const auto result = run(file, report);
        if (result.interrupted || result.code == kExitUsage) return result.code;
        log.add(fmt::format("seed {} {}", seed, result.code == kExitDone ? "clean" : "findings"));
        if (result.code != kExitDone) {
            fmt::print("seed {} has findings after {} clean ones; again: ", seed, count);
            fmt::print("starling {} --scenario {}\n", options.command, file);
            return kExitFailed;
        }
        std::error_code ignored;  // what is left behind is only in the way
        fs::remove_all(report, ignored);
        fs::remove(file, ignored);
    }
    fmt::print("{} scenarios clean, to seed {}\n", count, log.next(options.seed) - 1);
    return kExitDone;
}

}  // namespace starling::peer
