#pragma once

// One graph, compiled once for one batch size: kernels with their layouts chosen, temporaries
// placed in one arena, nothing left to allocate or decide while a step runs.
//
// Thread    compute

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compute/arena/parameter_store.hpp"
#include "compute/graph/graph.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

class WeightCopies;

struct PlanRequest {
    Graph graph;
    std::vector<ValueId> outputs;    ///< values to read after a run
    std::vector<ValueId> gradients;  ///< per parameter of the graph, None for no gradient; may be
                                     ///< empty
    int threads = 1;
    Precision precision = Precision::F32;  ///< F32 or Bf16
    Stopwatch stopwatch = nullptr;         ///< as in EngineOptions
};

class Plan {
public:
    virtual ~Plan() = default;

    /// Where the caller writes an input before a run. Requires an input of the graph.
    [[nodiscard]] virtual std::span<float> input_values(ValueId input) = 0;
    [[nodiscard]] virtual std::span<std::int32_t> input_labels(ValueId input) = 0;

    /// Copies the parameters that have changed since into the plan's own layouts, each under its
    /// chunks' locks.
    virtual void pack(ParameterStore& store) = 0;

    /// Returns the copies that an update of weights may write instead; nullptr for none.
    [[nodiscard]] virtual WeightCopies* copies() { return nullptr; }

    /// Runs all kernels. Returns false when `interrupt` was set; the flag is cleared then.
    [[nodiscard]] virtual bool run(std::atomic<bool>& interrupt) = 0;

    /// Runs once and appends the time of each kernel.
    virtual void profile(Stopwatch stopwatch, std::vector<KernelTime>& times) = 0;

    /// Returns an output in row-major order, valid until the next run.
    [[nodiscard]] virtual std::span<const float> output(ValueId output) const = 0;

    /// Returns all gradients, flat in the store's order; zero where there is none.
    [[nodiscard]] virtual std::span<const float> gradients() const = 0;

    /// Bytes of the shared arena of temporaries, of what lasts from step to step, of the gradient.
    [[nodiscard]] virtual MemoryUse memory() const = 0;

    /// Describes the kernels, one line each: name, implementation; then how many are reorders.
    [[nodiscard]] virtual std::string describe() const = 0;
};

}  // namespace starling::compute
