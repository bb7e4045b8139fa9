// Engine::create: the device that was named, or the one that `auto` takes.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "compute/device/device.hpp"
#include "compute/training/device_choice.hpp"
#include "compute/training/device_memory.hpp"
#include "compute/training/devices.hpp"
#include "compute/training/engine.hpp"
#include "compute/training/plan_engine.hpp"
#include "compute/training/plan_request.hpp"

namespace starling::compute {

namespace {

constexpr int kThreadsMax = 1024;

Result<Device*> find_by(const DeviceSearch& search, const std::string& name) {
    return search.find ? search.find(name) : find_device(name);
}

/// `--device auto`: makes the engine on the first graphics card that is free, has the memory, and makes
/// a step of this very model and batch in less time than the CPU; else on the CPU. Measures nothing, and
/// opens no device, where no card gets that far.
class Search {
public:
    Search(const EngineOptions& options, ParameterStore& store)
        : options_(options),
          store_(store) {}

    Result<std::unique_ptr<Engine>> run() {
        const auto& search = options_.search;
        if (search.stopwatch == nullptr)
            return on_host({"auto", "auto takes no card where nothing may be measured"});
        const auto list = search.offered ? search.offered() : offered_devices();
        for (const auto& info : list.devices) {
            if (auto engine = attempt(info)) return engine;
        }
        return on_host(list.missing.empty() ? MissingDevice() : list.missing.front());
    }

private:
    /// Returns the engine on the device, or nothing when something speaks against it.
    std::unique_ptr<Engine> attempt(const DeviceInfo& info) {
        auto& candidate = candidates_.emplace_back();
        candidate.info = info;
        if (refused()) return nullptr;
        if (const auto fit = fit_on_card(options_, info)) {
            candidate.fit = *fit;
        } else {
            candidate.fault = fit.error().message;
        }
        if (refused()) return nullptr;
        const auto& search = options_.search;
        if (search.claim) candidate.taken_by = search.claim(info);
        if (refused()) return nullptr;
        measure_host();
        auto engine = measure(candidate);
        if (engine == nullptr || refused()) return nullptr;
        host_engine_.reset();
        engine->set_choice(choose_device(candidates_, host_, {}));
        return engine;
    }

    [[nodiscard]] bool refused() const { return !objection(candidates_.back(), host_).empty(); }

    Result<std::unique_ptr<Engine>> make(const std::string& name) {
        const auto device = find_by(options_.search, name);
        if (device.has_error()) return device.error();
        return make_plan_engine(**device, options_, store_);
    }

    std::unique_ptr<Engine> measure(Candidate& candidate) {
        auto engine = make(candidate.info.name);
        if (engine.has_error()) {
            candidate.fault = engine.error().message;
            return nullptr;
        }
        const auto seconds = (*engine)->step_time(options_.search.stopwatch);
        if (seconds.has_error()) {
            candidate.fault = seconds.error().message;
            return nullptr;
        }
        candidate.step_seconds = *seconds;
        return std::move(*engine);
    }

    /// Measures the CPU once. What it cannot do a card may.
    void measure_host() {
        if (host_engine_ != nullptr || !host_.fault.empty()) return;
        auto engine = make("cpu");
        if (engine.has_error()) {
            host_.fault = engine.error().message;
            return;
        }
        const auto seconds = (*engine)->step_time(options_.search.stopwatch);
        if (seconds) host_.step_seconds = *seconds;
        if (!seconds) host_.fault = seconds.error().message;
        host_engine_ = std::move(*engine);
    }

    Result<std::unique_ptr<Engine>> on_host(const MissingDevice& missing) {
        auto engine =
            host_engine_ ? Result<std::unique_ptr<Engine>>(std::move(host_engine_)) : make("cpu");
        if (engine) (*engine)->set_choice(choose_device(candidates_, host_, missing));
        return engine;
    }

    const EngineOptions& options_;
    ParameterStore& store_;
    std::vector<Candidate> candidates_;
    HostFacts host_;
    std::unique_ptr<Engine> host_engine_;
};

/// Whoever names a device gets it, though others may compute there, unless the model does not fit.
Result<std::unique_ptr<Engine>> create_named(const EngineOptions& options, ParameterStore& store) {
    const auto& search = options.search;
    const auto device = find_by(search, options.device);
    if (device.has_error()) return device.error();
    const auto info = (*device)->info();
    const bool card = !(*device)->on_host();
    std::string why;
    if (card) {
        if (auto ok = check_fit(options, info); !ok) return ok.error();
        const auto other = search.claim ? search.claim(info) : std::string();
        if (!other.empty()) why = other + " computes there, too, and both will be slower";
    }
    auto engine = make_plan_engine(**device, options, store);
    // Others may use the memory that there is.
    const bool full = engine.has_error() && engine.error().code == FaultCode::Oversized;
    if (card && full) return fail(FaultCode::Usage, engine.error().message);
    if (engine) (*engine)->set_choice({info.name, why, info.name != "cpu"});
    return engine;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(
    const EngineOptions& options, ParameterStore& store
) {
    if (options.threads < 1 || options.threads > kThreadsMax) {
        return fail(
            FaultCode::BadValue,
            std::to_string(options.threads) + " threads are not allowed; give 1 to " +
                std::to_string(kThreadsMax)
        );
    }
    const auto layout = layout_of(options);
    if (layout.has_error()) return layout.error();
    STARLING_CHECK(layout->canonical_bytes() == store.layout().canonical_bytes());
    if (options.device != "auto") return create_named(options, store);
    return Search(options, store).run();
}

}  // namespace starling::compute
