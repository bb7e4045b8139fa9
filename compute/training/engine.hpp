#pragma once

// What a trainer needs from compute: one compiled training step and one compiled evaluation of a
// named model over a parameter store. Behind it: graph, gradient transformation, plan.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/training/schedule.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

struct EngineOptions {
    std::string model;
    std::shared_ptr<const Bytes> model_file;  ///< of a model that is a file; else null
    Task task;
    std::int64_t batch = 64;
    std::int64_t eval_batch = 256;
    int threads = 1;
    OptimizerSpec optimizer;
    Precision precision = Precision::F32;
    std::string device = "cpu";  ///< or reference
    /// For choices that are made by measuring: which library multiplies a shape faster, whether
    /// bf16 pays. Without one the engine takes fixed choices, equal on every machine.
    Stopwatch stopwatch = nullptr;
};

struct StepResult {
    float loss = 0.0F;  ///< mean over the batch
    std::uint32_t correct = 0;
    bool interrupted = false;  ///< stopped between operators; nothing was updated
    /// The loss, or the norm of a gradient that is clipped, is not finite; nothing was updated.
    bool unsound = false;
};

struct EvalResult {
    double loss_sum = 0.0;
    std::uint64_t correct = 0;
    std::uint64_t samples = 0;

    EvalResult& operator+=(const EvalResult& other) {
        loss_sum += other.loss_sum;
        correct += other.correct;
        samples += other.samples;
        return *this;
    }

    [[nodiscard]] double accuracy() const {
        return samples == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(samples);
    }

    [[nodiscard]] double loss() const {
        return samples == 0 ? 0.0 : loss_sum / static_cast<double>(samples);
    }
};

/// Thread    compute
class Engine {
public:
    /// Compiles the plans. `store` outlives the engine and has the layout that model_layout gives.
    /// Errors    Usage, BadValue, Unsupported, Io (a library refused; its message is included)
    [[nodiscard]] static Result<std::unique_ptr<Engine>> create(
        const EngineOptions& options, ParameterStore& store
    );

    virtual ~Engine() = default;

    /// Runs forward, loss, backward and the optimizer with this learning rate. A batch that gives
    /// no finite loss changes nothing: one such update would spoil every parameter.
    ///
    /// Shapes    values N * sample elements f32 (N = batch), labels N in [0, classes)
    virtual StepResult step(
        std::span<const float> values, std::span<const std::int32_t> labels, double learning_rate
    ) = 0;

    /// Evaluates up to eval_batch samples on the parameters as they are now.
    virtual EvalResult evaluate(
        std::span<const float> values, std::span<const std::int32_t> labels
    ) = 0;

    /// Asks a running step to stop at the next operator; without one, the next step stops at its
    /// first. Thread any.
    virtual void interrupt() = 0;

    [[nodiscard]] virtual std::span<const float> optimizer_state() const = 0;
    virtual void restore_optimizer_state(std::span<const float> state) = 0;

    /// Makes the optimizer's state what it was before the first step.
    virtual void reset_optimizer() = 0;

    [[nodiscard]] virtual MemoryUse memory() const = 0;

    /// Returns what `auto` chose, or what was asked for.
    [[nodiscard]] virtual Precision precision() const = 0;

    /// Describes the training step, a line for each kernel, and counts its reorders.
    [[nodiscard]] virtual std::string describe() const = 0;

    /// Runs a step whose update has rate zero, and times each kernel. Parameters and optimizer
    /// state stay.
    [[nodiscard]] virtual std::vector<KernelTime> profile(
        std::span<const float> values, std::span<const std::int32_t> labels, Stopwatch stopwatch
    ) = 0;
};

}  // namespace starling::compute
