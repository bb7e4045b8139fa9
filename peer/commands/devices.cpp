// starling devices: what there is to compute with, and what was looked for and is missing.

#include "compute/training/devices.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json_text.hpp"
#include "peer/commands/commands.hpp"
#include "peer/machine/memory.hpp"

namespace starling::peer {

namespace {

using Row = std::array<std::string, 6>;

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
}

std::string_view name_of(compute::DeviceKind kind) {
    switch (kind) {
        case compute::DeviceKind::Cpu:
            return "cpu";
        case compute::DeviceKind::Gpu:
            return "gpu";
        case compute::DeviceKind::Other:
            break;
    }
    return "other";
}

void print_json(const compute::DeviceList& list) {
    auto devices = nlohmann::json::array();
    for (const auto& device : list.devices) {
        devices.push_back(
            {{"name", device.name},
             {"kind", name_of(device.kind)},
             {"model", device.model},
             {"identity", device.identity},
             {"memory_bytes", device.memory_bytes},
             {"precisions", device.precisions},
             {"libraries", device.libraries},
             {"ready", device.ready},
             {"state", device.state}}
        );
    }
    auto missing = nlohmann::json::array();
    for (const auto& one : list.missing) {
        missing.push_back({{"name", one.name}, {"why", one.why}});
    }
    const nlohmann::json all{{"devices", devices}, {"missing", missing}};
    // A driver may give names in any encoding.
    std::puts(json_text(all).c_str());
}

void print_table(const compute::DeviceList& list) {
    std::vector<Row> rows;
    for (const auto& device : list.devices) {
        rows.push_back(
            {device.name,
             device.model,
             fmt::format("{:.1f} GB", static_cast<double>(device.memory_bytes) / 1e9),
             joined(device.precisions),
             device.libraries,
             device.state}
        );
    }
    std::array<std::size_t, 6> widths{};
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& one : list.missing) widths[0] = std::max(widths[0], one.name.size());
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const bool last = i + 1 == row.size();
            line += last ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
        }
        std::puts(line.c_str());
    }
    for (const auto& one : list.missing) {
        std::puts(fmt::format("{:<{}}  {}", one.name, widths[0], one.why).c_str());
    }
}

int print_devices(bool json) {
    auto list = compute::devices();
    // A control group may allow this process less than the machine has.
    auto& cpu = list.devices.front();
    cpu.memory_bytes = std::min<std::uint64_t>(cpu.memory_bytes, memory_limit());
    if (json) {
        print_json(list);
    } else {
        print_table(list);
    }
    return kExitDone;
}

}  // namespace

void add_devices(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand(
        "devices", "What --device may be here: processors and graphics cards, and what is missing"
    );
    auto json = std::make_shared<bool>(false);
    command->add_flag("--json", *json, "One JSON object instead of a table");
    command->footer("Example:\n  starling devices");
    command->callback([json, &chosen] { chosen = [json] { return print_devices(*json); }; });
}

}  // namespace starling::peer
