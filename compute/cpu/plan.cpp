#include "compute/cpu/plan.hpp"

#include <algorithm>
#if defined(__GLIBC__)
#include <cstring>
#include <malloc.h>
#endif
#include <new>
#include <omp.h>
#include <optional>

#include "base/check.hpp"
#include "compute/arena/weight_copies.hpp"
#include "compute/cpu/lowering/lowering.hpp"
#include "compute/device/host_memory.hpp"
#include "compute/graph/passes.hpp"
#include "compute/values/block.hpp"
#include "compute/values/memory_plan.hpp"

namespace starling::compute {

namespace {

/// Copies one parameter into a layout that is not the store's.
class Packer {
public:
    Packer(const cpu::Desc& row_major, const cpu::Desc& layout, std::byte* target)
        : stream_(cpu::cpu_engine()),
          reorder_(cpu::reorder(row_major, layout)),
          from_(row_major, cpu::cpu_engine(), nullptr),
          to_(layout, cpu::cpu_engine(), target),
          arguments_{{DNNL_ARG_FROM, from_.get()}, {DNNL_ARG_TO, to_.get()}} {
        if (!reorder_.has(DNNL_ARG_SCRATCHPAD)) return;
        const auto& desc = reorder_.desc(DNNL_ARG_SCRATCHPAD);
        scratch_bytes_ = allocate_block(cpu::byte_count(desc));
        scratch_ = dnnl::memory(desc, cpu::cpu_engine(), scratch_bytes_.get());
        arguments_.push_back({DNNL_ARG_SCRATCHPAD, scratch_.get()});
    }

    void pack(std::span<const float> source) {
        // The reorder only reads the source, but the library's handles are not const.
        from_.set_data_handle(const_cast<float*>(source.data()));
        const auto status = dnnl_primitive_execute(
            reorder_.primitive.get(),
            stream_.get(),
            static_cast<int>(arguments_.size()),
            arguments_.data()
        );
        STARLING_CHECK(status == dnnl_success);
    }

private:
    dnnl::stream stream_;
    cpu::Compiled reorder_;
    dnnl::memory from_;
    dnnl::memory to_;
    dnnl::memory scratch_;
    Block scratch_bytes_;
    std::vector<dnnl_exec_arg_t> arguments_;
};

/// A parameter that the plan keeps in layouts of its own.
struct PackedTensor {
    const ParameterInfo* info = nullptr;
    std::vector<Packer> packers;
    std::optional<std::uint64_t> version;  ///< of what was packed last
};

class CpuPlan final : public Plan {
public:
    CpuPlan(PlanRequest request, const ParameterLayout& layout)
        : request_(std::move(request)),
          layout_(layout),
          copies_(layout) {
        // A primitive divides its work by the number of threads at the time when it is created.
        omp_set_num_threads(request_.threads);
        auto wanted = request_.outputs;
        wanted.insert(wanted.end(), request_.gradients.begin(), request_.gradients.end());
        optimize(request_.graph, wanted);
        lowered_ = cpu::Lowering(request_, layout_).run();
#if defined(__GLIBC__)
        // Returns the memory of measured candidates to the system before the arena is allocated;
        // otherwise both would be resident.
        (void)malloc_trim(0);
#endif
        take_memory();
        for (auto& kernel : lowered_.kernels) kernel->bind(addresses_);
        for (const auto& entry : lowered_.packed) keep(entry);
    }

    std::span<float> input_values(ValueId input) override {
        const auto [bytes, size] = find(lowered_.inputs, input);
        return {reinterpret_cast<float*>(bytes), size / sizeof(float)};
    }

    std::span<std::int32_t> input_labels(ValueId input) override {
        const auto [bytes, size] = find(lowered_.inputs, input);
        return {reinterpret_cast<std::int32_t*>(bytes), size / sizeof(std::int32_t)};
    }

    Result<void> pack(ParameterStore& store) override {
        omp_set_num_threads(request_.threads);
        copies_.refresh(store, request_.threads);
        for (auto& tensor : tensors_) {
            // The version is read before the locks are taken, so a change in between is packed
            // twice rather than missed.
            const auto version = store.version_of(*tensor.info);
            if (tensor.version == version) continue;
            tensor.version = version;
            store.read_tensor(*tensor.info, [&](std::span<const float> values) {
                for (auto& packer : tensor.packers) packer.pack(values);
            });
        }
        return {};
    }

    PlanCopies* copies() override {
        return &copies_;
    }

    Result<RunEnd> run(std::atomic<bool>& interrupt) override {
        omp_set_num_threads(request_.threads);
        for (const auto& kernel : lowered_.kernels) {
            if (interrupt.exchange(false, std::memory_order_relaxed)) return RunEnd::Interrupted;
            kernel->run();
        }
        return RunEnd::Whole;
    }

    Result<void> profile(Stopwatch stopwatch, std::vector<KernelTime>& times) override {
        omp_set_num_threads(request_.threads);
        for (const auto& kernel : lowered_.kernels) {
            const double start = stopwatch();
            kernel->run();
            const double seconds = stopwatch() - start;
            const auto& account = kernel->account();
            times.push_back(
                {kernel->name() + " " + kernel->detail(),
                 account.op,
                 seconds,
                 account.flops,
                 account.bytes}
            );
        }
        return {};
    }

    std::span<const float> output(ValueId output) const override {
        const auto [bytes, size] = find(lowered_.outputs, output);
        return {reinterpret_cast<const float*>(bytes), size / sizeof(float)};
    }

    std::span<const std::int32_t> output_labels(ValueId output) const override {
        const auto [bytes, size] = find(lowered_.outputs, output);
        return {reinterpret_cast<const std::int32_t*>(bytes), size / sizeof(std::int32_t)};
    }

    Result<void> poison() override {
        std::memset(arena_.get(), 0xFF, arena_bytes_);
        return {};
    }

    DeviceSpan gradients() const override {
        return DeviceSpan(*gradients_);
    }

    MemoryUse memory() const override {
        MemoryUse use;
        use.activations = arena_bytes_;
        use.lasting = lasting_bytes_;
        use.gradients = gradients_->size() * sizeof(float);
        return use;
    }

    std::string describe() const override {
        std::string text;
        int reorders = 0;
        for (const auto& kernel : lowered_.kernels) {
            text += kernel->name() + " " + kernel->detail() + "\n";
            reorders += kernel->account().op == "Reorder" || kernel->account().op == "Copy" ? 1 : 0;
        }
        return text + std::to_string(reorders) + " of " + std::to_string(lowered_.kernels.size()) +
               " kernels only reorder\n";
    }

private:
    using Entries = std::vector<std::pair<ValueId, BufferId>>;

    [[nodiscard]] std::byte* address(BufferId id) const {
        return addresses_[static_cast<std::size_t>(id)];
    }

    [[nodiscard]] std::pair<std::byte*, std::size_t> find(const Entries& entries, ValueId value)
        const {
        for (const auto& [id, buffer] : entries) {
            if (id != value) continue;
            return {address(buffer), lowered_.buffers[static_cast<std::size_t>(buffer)].bytes};
        }
        STARLING_UNREACHABLE("value that is neither input nor output of the plan");
    }

    void keep(const cpu::PackedParameter& packed) {
        PackedTensor tensor;
        tensor.info = &layout_.parameters()[packed.parameter];
        for (const auto& copy : packed.copies) {
            const bool exact = copy.layout == copy.source;
            if (exact || copy.layout == cpu::in_bf16(copy.source)) {
                copies_.add(*tensor.info, address(copy.buffer), !exact);
            } else {
                tensor.packers.emplace_back(copy.source, copy.layout, address(copy.buffer));
            }
        }
        if (!tensor.packers.empty()) tensors_.push_back(std::move(tensor));
    }

    void take_memory() {
        const auto all = place_buffers(lowered_.buffers);
        arena_bytes_ = all.arena_bytes;
        lasting_bytes_ = all.lasting_bytes;
        arena_ = allocate_block(all.arena_bytes);
        lasting_ = allocate_block(all.lasting_bytes);
        const auto elements = request_.gradients.empty() ? 0 : layout_.elements();
        gradients_ = std::make_unique<HostMemory>(elements);
        for (const auto& place : all.places) {
            addresses_.push_back(address_of(place.region) + place.offset);
        }
    }

    [[nodiscard]] std::byte* address_of(BufferPlace::Region region) {
        if (region == BufferPlace::Region::Arena) return arena_.get();
        if (region == BufferPlace::Region::Gradient) return gradients_->bytes();
        // Each parameter that a kernel reads has a copy of its own.
        STARLING_CHECK(region == BufferPlace::Region::Lasting);
        return lasting_.get();
    }

    PlanRequest request_;
    const ParameterLayout& layout_;
    cpu::Lowered lowered_;
    Block arena_;
    Block lasting_;
    std::unique_ptr<HostMemory> gradients_;
    std::size_t arena_bytes_ = 0;
    std::size_t lasting_bytes_ = 0;
    std::vector<std::byte*> addresses_;
    WeightCopies copies_;
    std::vector<PackedTensor> tensors_;
};

}  // namespace

Result<std::unique_ptr<Plan>> compile_cpu_plan(PlanRequest request, const ParameterLayout& layout) {
    try {
        return std::make_unique<CpuPlan>(std::move(request), layout);
    } catch (const dnnl::error& error) {
        return fail(
            error.status == dnnl_unimplemented ? FaultCode::Unsupported : FaultCode::Io,
            std::string("oneDNN refused the model: ") + error.message
        );
    } catch (const std::bad_alloc&) {
        return fail(FaultCode::Oversized, "the model and batch do not fit in memory");
    } catch (const std::runtime_error& error) {
        return fail(FaultCode::Unsupported, error.what());
    }
}

}  // namespace starling::compute
