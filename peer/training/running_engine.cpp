#include "peer/training/running_engine.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "compute/training/device_memory.hpp"
#include "peer/machine/memory.hpp"

namespace starling::peer {

namespace {

constexpr std::string_view kCpu = "cpu";

/// `training on cpu: opencl:0 (NAME) made a step in 31 ms, the cpu in 12 ms`.
std::string line_about(const DeviceReport& device) {
    const bool card = device.name != kCpu;
    std::string line = "training on " + device.name;
    if (card) line += " (" + device.model + ")";
    if (!device.why.empty()) line += ": " + device.why;
    if (card) {
        line += fmt::format(
            "{} takes {} of its {}",
            device.why.empty() ? ", which" : "; the model",
            compute::size_text(device.used_bytes),
            compute::size_text(device.memory_bytes)
        );
    }
    return line;
}

}  // namespace

RunningEngine::RunningEngine(
    compute::EngineOptions options,
    compute::ParameterStore& parameters,
    std::function<void(std::string)> note
)
    : options_(std::move(options)),
      parameters_(parameters),
      note_(std::move(note)) {
    auto& claim = options_.search.claim;
    if (!claim) {
        claim = [this](const compute::DeviceInfo& info) { return locks_.claim(info.identity); };
    }
}

Result<void> RunningEngine::make() {
    if (auto made = make_on(options_.device); !made) return made;
    if (engine_->choice().notable) note(line_about(report_));
    return {};
}

Result<void> RunningEngine::make_on(const std::string& device) {
    auto options = options_;
    options.device = device;
    // What the last one has of the device's memory is needed now.
    retire();
    auto engine = compute::Engine::create(options, parameters_);
    if (engine.has_error()) return engine.error();
    {
        const std::scoped_lock lock(mutex_);
        engine_ = std::move(*engine);
    }
    const auto info = engine_->device();
    locks_.keep_only(info.identity);
    report_.name = info.name;
    report_.model = info.model;
    report_.why = engine_->choice().why;
    report_.memory_bytes = info.memory_bytes;
    // A control group may allow this process less than the machine has.
    if (info.name == kCpu)
        report_.memory_bytes = std::min<std::uint64_t>(info.memory_bytes, memory_limit());
    report_.used_bytes = engine_->memory().total();
    return {};
}

Result<void> RunningEngine::replace(const Fault& fault) {
    const bool automatic = options_.device == "auto";
    ++report_.failures;
    if (!std::exchange(reopened_, true)) {
        note("the device has failed and is opened anew: " + fault.message);
        auto made = make_on(report_.name);
        if (made) return made;
        // It was there when the peer began, so that it was not asked for in vain.
        if (!automatic) return fail(FaultCode::Device, made.error().message);
        note("training goes on on the cpu: " + made.error().message);
    } else if (!automatic) {
        return fault;
    } else {
        note("training goes on on the cpu: " + fault.message);
    }
    auto made = make_on(std::string(kCpu));
    if (made) report_.why = "the device has failed: " + fault.message;
    return made;
}

std::span<const float> RunningEngine::optimizer_state() const {
    return engine_ ? engine_->optimizer_state() : std::span<const float>();
}

void RunningEngine::interrupt() {
    const std::scoped_lock lock(mutex_);
    if (engine_) engine_->interrupt();
}

void RunningEngine::retire() {
    const std::scoped_lock lock(mutex_);
    engine_.reset();
}

DeviceReport RunningEngine::report() const {
    return report_;
}

void RunningEngine::note(const std::string& line) const {
    if (note_) note_(line);
}

}  // namespace starling::peer
