#include "compute/gpu/plan.hpp"

#include <cstring>
#include <map>
#include <stdexcept>
#include <utility>

#include "base/check.hpp"
#include "compute/gpu/kernel_table.hpp"
#include "compute/gpu/lowering.hpp"
#include "compute/gpu/product_choice.hpp"
#include "compute/graph/passes.hpp"

namespace starling::compute::gpu {

namespace {

/// Rewrites the graph for kernels that do more than one operator, and turns it into launches.
/// Errors    throws std::runtime_error, as the lowering
Lowered lower(PlanRequest& request, const ParameterLayout& layout) {
    auto wanted = request.outputs;
    wanted.insert(wanted.end(), request.gradients.begin(), request.gradients.end());
    remove_dead_nodes(request.graph, wanted);
    fuse_relu(request.graph, wanted);
    fuse_relu_gradient(request.graph, wanted);
    return Lowering(request, layout).run();
}

/// The floats of the flat gradient, which a plan without gradients has not.
std::size_t gradient_elements(const PlanRequest& request, const ParameterLayout& layout) {
    return request.gradients.empty() ? 0 : layout.elements();
}

class GpuPlan final : public Plan {
public:
    GpuPlan(PlanRequest request, Backend& backend, std::shared_ptr<WeightMirror> mirror)
        : request_(std::move(request)),
          backend_(backend),
          mirror_(std::move(mirror)) {}

    /// Errors    also throws std::runtime_error, as the lowering
    Result<void> make(const ParameterLayout& layout) {
        auto lowered = lower(request_, layout);
        places_ = place_buffers(lowered.buffers);
        if (auto ok = take(arena_, places_.arena_bytes / sizeof(float)); !ok) return ok;
        if (auto ok = take(lasting_, places_.lasting_bytes / sizeof(float)); !ok) return ok;
        if (auto ok = take(gradients_, gradient_elements(request_, layout)); !ok) return ok;
        for (const auto& upload : lowered.uploads) {
            const auto words = std::as_bytes(std::span(upload.words));
            if (auto ok = write(words, upload.buffer); !ok) return ok;
        }
        for (auto& step : lowered.steps) bind(step);
        auto chosen = choose_products(backend_, request_.stopwatch, lowered.steps);
        if (!chosen) return chosen;
        steps_ = std::move(lowered.steps);
        for (const auto& [id, buffer] : lowered.inputs) inputs_[id] = host_of(id, buffer);
        // Gradients stay where they are.
        for (const auto id : request_.outputs) {
            for (const auto& [known, buffer] : lowered.outputs) {
                if (known == id && !outputs_.contains(id)) outputs_[id] = host_of(id, buffer);
            }
        }
        return {};
    }

    std::span<float> input_values(ValueId input) override {
        return floats(inputs_.at(input).words);
    }

    std::span<std::int32_t> input_labels(ValueId input) override {
        auto& words = inputs_.at(input).words;
        return {reinterpret_cast<std::int32_t*>(words.data()), words.size()};
    }

    Result<void> pack(ParameterStore& store) override { return mirror_->refresh(store); }

    PlanCopies* copies() override { return mirror_.get(); }

    Result<RunEnd> run(std::atomic<bool>& interrupt) override {
        if (auto ok = write_inputs(); !ok) return ok.error();
        for (auto& step : steps_) {
            if (interrupt.exchange(false, std::memory_order_relaxed)) return RunEnd::Interrupted;
            if (auto ok = carry_out(step); !ok) return ok.error();
        }
        if (auto ok = read_outputs(); !ok) return ok.error();
        return RunEnd::Whole;
    }

    Result<void> profile(Stopwatch stopwatch, std::vector<KernelTime>& times) override {
        if (auto ok = write_inputs(); !ok) return ok;
        if (auto ok = backend_.finish(); !ok) return ok;
        for (auto& step : steps_) {
            const double start = stopwatch();
            if (auto ok = carry_out(step); !ok) return ok;
            if (auto ok = backend_.finish(); !ok) return ok;
            const double seconds = stopwatch() - start;
            times.push_back({step.name + " " + who(step), step.op, seconds, step.flops, 0.0});
        }
        return read_outputs();
    }

    Result<void> poison() override {
        const std::vector<std::byte> bytes(places_.arena_bytes, std::byte{0xFF});
        return backend_.write(bytes, *arena_, 0);
    }

    std::span<const float> output(ValueId output) const override {
        return floats(outputs_.at(output).words);
    }

    std::span<const std::int32_t> output_labels(ValueId output) const override {
        const auto& words = outputs_.at(output).words;
        return {reinterpret_cast<const std::int32_t*>(words.data()), words.size()};
    }

    DeviceSpan gradients() const override { return DeviceSpan(*gradients_); }

    MemoryUse memory() const override {
        MemoryUse use;
        use.activations = places_.arena_bytes;
        use.lasting = places_.lasting_bytes;
        use.weights = mirror_->memory().size() * sizeof(float);
        use.gradients = gradients_->size() * sizeof(float);
        return use;
    }

    std::string describe() const override {
        std::string text;
        for (const auto& step : steps_) text += step.name + " " + who(step) + "\n";
        return text + "0 of " + std::to_string(steps_.size()) + " kernels only reorder\n";
    }

private:
    /// A value on its way between the host and the device.
    struct HostCopy {
        std::vector<std::uint32_t> words;
        DeviceMemory* memory = nullptr;
        std::size_t offset = 0;  ///< in bytes
    };

    static std::string who(const Step& step) {
        return step.by_library ? "library" : step.launch.kernel;
    }

    Result<void> carry_out(Step& step) {
        if (step.prepare) step.prepare(step.launch);
        auto done = launch_step(backend_, step);
        // The library could when it was measured; what it lacks now is the card's failure.
        if (!done) return fail(FaultCode::Device, done.error().message);
        return {};
    }

    static std::span<float> floats(std::vector<std::uint32_t>& words) {
        return {reinterpret_cast<float*>(words.data()), words.size()};
    }

    static std::span<const float> floats(const std::vector<std::uint32_t>& words) {
        return {reinterpret_cast<const float*>(words.data()), words.size()};
    }

    Result<void> take(std::unique_ptr<DeviceMemory>& memory, std::size_t elements) {
        auto taken = backend_.allocate(elements);
        if (!taken) return taken.error();
        memory = std::move(*taken);
        return {};
    }

    [[nodiscard]] DeviceMemory& memory_of(BufferPlace::Region region) const {
        switch (region) {
            case BufferPlace::Region::Arena:
                return *arena_;
            case BufferPlace::Region::Lasting:
                return *lasting_;
            case BufferPlace::Region::Gradient:
                return *gradients_;
            case BufferPlace::Region::Parameters:
                break;
        }
        return mirror_->memory();
    }

    [[nodiscard]] const BufferPlace& place_of(BufferId id) const {
        return places_.places[to_index(id)];
    }

    Result<void> write(std::span<const std::byte> bytes, BufferId buffer) {
        const auto& place = place_of(buffer);
        return backend_.write(bytes, memory_of(place.region), place.offset);
    }

    void bind(Step& step) const {
        for (const auto& operand : step.operands) {
            const auto* buffer = std::get_if<BufferId>(&operand);
            if (buffer == nullptr) {
                step.launch.arguments.push_back(std::get<Argument>(operand));
                continue;
            }
            const auto& place = place_of(*buffer);
            const auto offset = static_cast<std::int64_t>(place.offset / sizeof(float));
            step.launch.arguments.emplace_back(&memory_of(place.region), offset);
        }
        STARLING_CHECK(mismatch(step.launch).empty());
    }

    [[nodiscard]] HostCopy host_of(ValueId id, BufferId buffer) const {
        const auto& place = place_of(buffer);
        const auto count = static_cast<std::size_t>(element_count(request_.graph.shape(id)));
        return {std::vector<std::uint32_t>(count), &memory_of(place.region), place.offset};
    }

    Result<void> write_inputs() {
        for (auto& [id, copy] : inputs_) {
            const auto bytes = std::as_bytes(std::span(copy.words));
            if (auto ok = backend_.write(bytes, *copy.memory, copy.offset); !ok) return ok;
        }
        return {};
    }

    Result<void> read_outputs() {
        if (outputs_.empty()) return backend_.finish();
        for (auto& [id, copy] : outputs_) {
            const auto bytes = std::as_writable_bytes(std::span(copy.words));
            if (auto ok = backend_.read(*copy.memory, copy.offset, bytes); !ok) return ok;
        }
        return {};
    }

    PlanRequest request_;
    Backend& backend_;
    std::shared_ptr<WeightMirror> mirror_;
    BufferPlaces places_;
    std::unique_ptr<DeviceMemory> arena_;
    std::unique_ptr<DeviceMemory> lasting_;
    std::unique_ptr<DeviceMemory> gradients_;
    std::vector<Step> steps_;
    std::map<ValueId, HostCopy> inputs_;
    std::map<ValueId, HostCopy> outputs_;
};

}  // namespace

Result<std::unique_ptr<Plan>> compile_plan(
    PlanRequest request,
    const ParameterLayout& layout,
    Backend& backend,
    std::shared_ptr<WeightMirror> mirror
) {
    try {
        auto plan = std::make_unique<GpuPlan>(std::move(request), backend, std::move(mirror));
        if (auto made = plan->make(layout); !made) return made.error();
        return std::unique_ptr<Plan>(std::move(plan));
    } catch (const std::runtime_error& error) {
        return fail(FaultCode::Unsupported, error.what());
    }
}

Result<MemoryUse> plan_memory(PlanRequest request, const ParameterLayout& layout) {
    try {
        const auto places = place_buffers(lower(request, layout).buffers);
        MemoryUse use;
        use.activations = places.arena_bytes;
        use.lasting = places.lasting_bytes;
        use.weights = layout.elements() * sizeof(float);
        use.gradients = gradient_elements(request, layout) * sizeof(float);
        return use;
    } catch (const std::runtime_error& error) {
        return fail(FaultCode::Unsupported, error.what());
    }
}

}  // namespace starling::compute::gpu
