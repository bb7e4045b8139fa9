#pragma once

// What a trainer needs from compute: one compiled training step and one compiled evaluation of a
// named model over a parameter store. An engine builds the model's graph, adds the gradient, and
// has a device compile both.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/device/device_info.hpp"
#include "compute/training/device_choice.hpp"
#include "compute/training/engine_options.hpp"
#include "compute/values/batch.hpp"
#include "compute/values/eval_result.hpp"
#include "compute/values/norm_moments.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

struct StepResult {
    float loss = 0.0F;          ///< mean over the batch, as the task's kind of labels defines it
    std::uint64_t correct = 0;  ///< labels; 0 where labels are numbers
    bool interrupted = false;   ///< the step stopped between operators; nothing was updated
    /// The loss, or the norm of a gradient to clip, is not finite; nothing was updated.
    bool unsound = false;
};

/// Thread    compute
class Engine {
public:
    /// Compiles the plans of training and evaluation, which takes time: with a stopwatch it
    /// measures kernels, up to seconds for a large net, and Precision::Auto compiles the training
    /// step two or three times and runs it.
    ///
    /// Requires  `store` outlives the engine and has the layout that model_layout returns
    /// Errors    Usage, BadValue, Unsupported, Io (a library refused; its message is included),
    ///           Oversized, Device
    [[nodiscard]] static Result<std::unique_ptr<Engine>> create(
        const EngineOptions& options, ParameterStore& store
    );

    virtual ~Engine() = default;

    /// Runs the forward pass, the loss, the backward pass and the optimizer with this learning
    /// rate. A batch whose loss is not finite changes nothing, because its update would spoil every
    /// parameter. Blocks for the whole step.
    ///
    /// Shapes    a batch of exactly N samples (N = batch)
    /// Errors    BadValue, with the number of the sample and of the value in it: a batch that does
    ///           not fit, a label outside [0, classes), a value or target that is not finite, a
    ///           target of Classes outside [0, 1], a token that is no row of the model's table;
    ///           nothing was updated. Device, when it has failed: then some chunks may be updated,
    ///           and every later call fails as well
    [[nodiscard]] virtual Result<StepResult> step(const Batch& batch, double learning_rate) = 0;

    /// Evaluates up to eval_batch samples on the parameters as they are now. Takes as long as a
    /// full batch however few samples there are, and cannot be interrupted.
    /// Errors    BadValue and Device, as for step()
    [[nodiscard]] virtual Result<EvalResult> evaluate(const Batch& batch) = 0;

    /// Returns what the model has answered in the last evaluate(), until the next call of this engine:
    /// log probabilities of classes, scores of labels, or numbers.
    /// Shapes    [samples, classes, labels or numbers] f32; of tokens [samples, tokens, classes]
    [[nodiscard]] virtual std::span<const float> answers() const = 0;

    /// Returns how many channels the batch norms have; 0: there are none whose statistics run.
    [[nodiscard]] virtual std::size_t norm_channels() const = 0;

    /// Runs a training step's forward and backward pass with the parameters as they are, changes nothing, and adds
    /// what the batch norms see to `whole`. Without batch norms it does nothing. An interrupted or unsound pass adds
    /// nothing.
    /// Errors    as step()
    [[nodiscard]] virtual Result<void> observe_norms(const Batch& batch, NormMoments& whole) = 0;

    /// Replaces the running statistics of all batch norms.
    /// Requires  moments of norm_channels() channels, as observe_norms() orders them
    virtual void set_norms(const NormMoments& moments) = 0;

    /// Asks a running step to stop at its next operator. When no step runs, the next one stops at
    /// its first operator.
    /// Thread    any
    virtual void interrupt() = 0;

    /// Returns the optimizer's state; nothing when the device has failed, and the state with it.
    [[nodiscard]] virtual std::span<const float> optimizer_state() const = 0;
    /// Returns false, and changes nothing, if the state is not that of such an optimizer.
    [[nodiscard]] virtual bool restore_optimizer_state(std::span<const float> state) = 0;

    /// Sets the optimizer's state back to what it was before the first step.
    virtual void reset_optimizer() = 0;

    [[nodiscard]] virtual MemoryUse memory() const = 0;

    /// Returns the precision that Precision::Auto has chosen, or the one in the options.
    [[nodiscard]] virtual Precision precision() const = 0;

    /// Returns what there is to tell of the device that computes.
    [[nodiscard]] virtual DeviceInfo device() const = 0;

    /// Says why it is this device.
    [[nodiscard]] const DeviceChoice& choice() const { return choice_; }

    void set_choice(DeviceChoice choice) { choice_ = std::move(choice); }

    /// Returns the seconds of a training step with its update, the best of those that fit in a second
    /// (one at least, after one to warm up). It runs on a batch of zeros, with learning rate zero:
    /// parameters stay as they are, and the optimizer's state is what it is at the beginning.
    /// Requires  no step was made, and no state restored
    /// Errors    Device
    [[nodiscard]] virtual Result<double> step_time(Stopwatch stopwatch) = 0;

    /// Returns a line for each kernel of the training step, and the number of reorders.
    [[nodiscard]] virtual std::string describe() const = 0;

    /// Runs one training step with learning rate zero and times each kernel by `stopwatch`, which
    /// it calls before and after each. Parameters and optimizer state stay as they are.
    /// Errors    BadValue and Device, as for step()
    [[nodiscard]] virtual Result<std::vector<KernelTime>> profile(
        const Batch& batch, Stopwatch stopwatch
    ) = 0;

private:
    DeviceChoice choice_;
};

}  // namespace starling::compute
