#pragma once

// The engine of a trainer, and what becomes of it when its device fails. The device is opened anew
// once. After that `auto` goes on on the CPU, and a peer that was told its device ends. The parameters
// are the store's, so that only the last step is lost, and what the optimizer had gathered.
//
// Thread    compute, except interrupt()

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "base/result.hpp"
#include "compute/training/engine.hpp"
#include "peer/machine/card_locks.hpp"
#include "peer/terms/training.hpp"

namespace starling::peer {

class RunningEngine {
public:
    /// `note` takes a line for people; may be empty. Where the options have no `claim`, the cards are
    /// those of this user.
    /// Requires  `parameters` outlives it
    RunningEngine(
        compute::EngineOptions options,
        compute::ParameterStore& parameters,
        std::function<void(std::string)> note
    );
    RunningEngine(const RunningEngine&) = delete;
    RunningEngine& operator=(const RunningEngine&) = delete;

    /// Makes the engine, and tells where it computes if that is not where everybody's does.
    /// Errors    those of Engine::create
    [[nodiscard]] Result<void> make();

    /// Makes another one, after a call of this one has failed with FaultCode::Device.
    /// Errors    the fault, or that of the next attempt, when there is nothing left to try
    [[nodiscard]] Result<void> replace(const Fault& fault);

    /// Requires  make() has succeeded, and so has the last replace()
    [[nodiscard]] compute::Engine& operator*() const { return *engine_; }

    [[nodiscard]] compute::Engine* operator->() const { return engine_.get(); }

    /// Returns the optimizer's state; nothing when it is lost.
    [[nodiscard]] std::span<const float> optimizer_state() const;

    /// Interrupts the engine that runs, if there is one.
    /// Thread    any
    void interrupt();

    /// Ends the engine: from now on nobody is interrupted.
    void retire();

    /// Returns what people are told of the device; nothing before there is an engine.
    [[nodiscard]] DeviceReport report() const;

private:
    [[nodiscard]] Result<void> make_on(const std::string& device);
    void note(const std::string& line) const;

    compute::EngineOptions options_;
    compute::ParameterStore& parameters_;
    std::function<void(std::string)> note_;
    CardLocks locks_;
    std::mutex mutex_;  ///< held while an engine comes or goes, and while it is interrupted
    std::unique_ptr<compute::Engine> engine_;
    DeviceReport report_;
    bool reopened_ = false;
};

}  // namespace starling::peer
