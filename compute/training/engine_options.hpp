#pragma once

// What an engine is made from.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/device/device_info.hpp"
#include "compute/training/schedule.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

class Device;

/// How `auto` chooses, and whom it asks.
struct DeviceSearch {
    /// Measures steps on the CPU and on a card. Without one `auto` stands for the CPU, on every machine.
    Stopwatch stopwatch = nullptr;
    /// Takes a device for this process, and returns who else has it; empty: nobody. A device that has
    /// been named is used in any case. Without this function nobody is asked.
    std::function<std::string(const DeviceInfo&)> claim;
    /// Return the devices besides the CPU, and the one of a name. Without them offered_devices() and
    /// find_device() do; tests have devices of their own.
    std::function<DeviceList()> offered;
    std::function<Result<Device*>(std::string_view)> find;
};

struct EngineOptions {
    std::string model;
    std::shared_ptr<const Bytes> model_file;  ///< the bytes of a model that is a file; else null
    Task task;
    std::int64_t batch = 64;
    std::int64_t eval_batch = 256;
    int threads = 1;
    OptimizerSpec optimizer;
    Precision precision = Precision::F32;
    /// As find_device() takes it, or auto: what choose_device() takes.
    std::string device = "cpu";
    DeviceSearch search;
    /// A clock for choices by measurement: which library multiplies a shape faster, whether bf16 is
    /// faster than f32. Without one the engine makes fixed choices, the same on every machine.
    Stopwatch stopwatch = nullptr;
};

}  // namespace starling::compute
