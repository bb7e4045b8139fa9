#pragma once

// The engine that runs plans of one device.

#include <memory>

#include "base/result.hpp"
#include "compute/device/device.hpp"
#include "compute/training/engine.hpp"

namespace starling::compute {

/// Compiles training and evaluation for the device.
/// Requires  `device` and `store` outlive the engine; the store has the layout of the model
/// Errors    as Engine::create
/// Thread    compute
[[nodiscard]] Result<std::unique_ptr<Engine>> make_plan_engine(
    Device& device, EngineOptions options, ParameterStore& store
);

}  // namespace starling::compute
