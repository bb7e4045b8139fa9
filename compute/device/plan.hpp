#pragma once

// One graph, compiled once for one batch size. The plan has chosen kernels and layouts and placed
// all temporaries in one arena, so a step neither allocates nor decides anything.
//
// Thread    compute

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/device/device_span.hpp"
#include "compute/graph/graph.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

class PlanCopies;

struct PlanRequest {
    Graph graph;
    std::vector<ValueId> outputs;    ///< values to read after a run
    std::vector<ValueId> gradients;  ///< by parameter of the graph, None for no gradient; or empty
    int threads = 1;
    Precision precision = Precision::F32;  ///< F32 or Bf16
    /// With a stopwatch a device measures ways to the same result and takes the fastest: each new
    /// shape costs about 20 ms or four runs of each way, whichever is longer.
    Stopwatch stopwatch = nullptr;
};

/// How a run ended that nothing has failed in.
enum class RunEnd : std::uint8_t { Whole, Interrupted };

class Plan {
public:
    virtual ~Plan() = default;

    /// Return where the caller writes an input before a run.
    /// Requires  `input` is an input of the graph
    [[nodiscard]] virtual std::span<float> input_values(ValueId input) = 0;
    [[nodiscard]] virtual std::span<std::int32_t> input_labels(ValueId input) = 0;

    /// Copies the parameters that have changed since the last call into the plan's own layouts,
    /// each while it holds the locks of the parameter's chunks, for which it may wait.
    /// Errors    Device
    [[nodiscard]] virtual Result<void> pack(ParameterStore& store) = 0;

    /// Returns the copies that an update of weights may write in place of pack(); nullptr for none.
    [[nodiscard]] virtual PlanCopies* copies() { return nullptr; }

    /// Runs all kernels, and waits until the outputs are there. Looks at `interrupt` before each
    /// kernel; when it is set, clears it and returns Interrupted at once.
    /// Errors    Device
    [[nodiscard]] virtual Result<RunEnd> run(std::atomic<bool>& interrupt) = 0;

    /// Runs all kernels once and appends the time of each. Calls `stopwatch` before and after each.
    /// Errors    Device
    [[nodiscard]] virtual Result<void> profile(
        Stopwatch stopwatch, std::vector<KernelTime>& times
    ) = 0;

    /// Fills the memory of temporaries and inputs with bytes that as numbers are none, so that a run that reads what
    /// nobody has written shows it. For tests; inputs are written afterwards.
    /// Errors    Device
    [[nodiscard]] virtual Result<void> poison() = 0;

    /// Returns an output in row-major order, valid until the next run.
    [[nodiscard]] virtual std::span<const float> output(ValueId output) const = 0;

    /// Does so for an output of whole numbers.
    [[nodiscard]] virtual std::span<const std::int32_t> output_labels(ValueId output) const = 0;

    /// Returns all gradients, flat in the store's order; zero where there is none.
    [[nodiscard]] virtual DeviceSpan gradients() const = 0;

    /// Returns the bytes of the arena of temporaries, of buffers that last from step to step, and
    /// of the gradient.
    [[nodiscard]] virtual MemoryUse memory() const = 0;

    /// Describes the kernels, one line each: name, implementation; then how many are reorders.
    [[nodiscard]] virtual std::string describe() const = 0;
};

}  // namespace starling::compute
