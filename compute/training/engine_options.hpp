#pragma once

// What an engine is made from.

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "compute/training/schedule.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

struct EngineOptions {
    std::string model;
    std::shared_ptr<const Bytes> model_file;  ///< the bytes of a model that is a file; else null
    Task task;
    std::int64_t batch = 64;
    std::int64_t eval_batch = 256;
    int threads = 1;
    OptimizerSpec optimizer;
    Precision precision = Precision::F32;
    /// As find_device() takes it, or auto: the first of automatic_devices() that can.
    std::string device = "cpu";
    /// A clock for choices by measurement: which library multiplies a shape faster, whether bf16 is
    /// faster than f32. Without one the engine makes fixed choices, the same on every machine.
    Stopwatch stopwatch = nullptr;
};

}  // namespace starling::compute
