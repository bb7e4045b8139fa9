#include "base/planted_fault.hpp"

#include <algorithm>
#include <array>

#ifdef STARLING_PLANTED_FAULTS
#include <cstdlib>

#include "base/check.hpp"
#endif

namespace starling {
namespace {

/// In the order of PlantedFault.
constexpr std::array<std::string_view, kPlantedFaults> kNames = {
    "no-refutation",
    "no-suspicion",
    "no-helpers",
    "no-healing",
    "silent-leave",
    "failure-untold",
    "never-counts",
    "one-sided-exchange",
    "stuck-after-abort",
    "shards-not-taken-over",
    "trainer-stops",
    "silent-donor",
};

}  // namespace

std::string_view to_string(PlantedFault fault) {
    return kNames.at(static_cast<std::size_t>(fault));
}

std::optional<PlantedFault> parse_planted_fault(std::string_view name) {
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    if (found == kNames.end()) return {};
    return static_cast<PlantedFault>(found - kNames.begin());
}

#ifdef STARLING_PLANTED_FAULTS
bool planted(PlantedFault fault) {
    static const auto chosen = []() -> std::optional<PlantedFault> {
        const char* name = std::getenv("STARLING_PLANTED_FAULT");
        if (name == nullptr) return {};
        const auto parsed = parse_planted_fault(name);
        STARLING_CHECK(parsed.has_value());
        return parsed;
    }();
    return chosen == fault;
}
#else
bool planted(PlantedFault) {
    return false;
}
#endif

}  // namespace starling
