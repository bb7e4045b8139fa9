#include "peer/commands/device_search.hpp"

#include <cstdio>
#include <string>

#include "base/printable.hpp"
#include "peer/machine/clock.hpp"

namespace starling::peer {

void search_devices(compute::EngineOptions& options, CardLocks& locks) {
    options.search.stopwatch = [] { return to_seconds(real_now().time_since_epoch()); };
    options.search.claim = [&locks](const compute::DeviceInfo& device) {
        return locks.claim(device.identity);
    };
}

void tell_device(const compute::Engine& engine) {
    const auto& choice = engine.choice();
    if (!choice.notable || choice.why.empty()) return;
    const auto line = "starling: computing on " + choice.device + ": " + printable(choice.why);
    std::fputs((line + "\n").c_str(), stderr);
}

}  // namespace starling::peer
