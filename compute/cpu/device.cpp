// The CPU as a device: oneDNN's primitives and loops of ours.

#include "compute/device.hpp"

#include "compute/cpu/isa.hpp"
#include "compute/cpu/parallel.hpp"
#include "compute/host_memory.hpp"

namespace starling::compute {

namespace {

STARLING_INLINE void add_scaled(
    float held, float share, const float* x, float* sum, std::size_t count
) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) sum[i] = held * sum[i] + share * x[i];
}

class CpuDevice final : public HostDevice {
public:
    [[nodiscard]] std::string_view name() const override { return "cpu"; }

    [[nodiscard]] Result<std::unique_ptr<Plan>> compile(
        PlanRequest request, const ParameterLayout& layout
    ) override {
        return compile_cpu_plan(std::move(request), layout);
    }

    [[nodiscard]] double norm(std::span<const float> gradient, int threads) override {
        return gradient_norm(gradient, threads);
    }

    void accumulate(
        float held, float share, std::span<const float> gradient, std::span<float> sum, int threads
    ) override {
        cpu::parallel_ranges(threads, sum.size(), [&](std::size_t begin, std::size_t end) {
            const float* from = gradient.data() + begin;
            cpu::vectorized<add_scaled>(held, share, from, sum.data() + begin, end - begin);
        });
    }

    void update(ParameterStore& store, const ChunkUpdate& update) override {
        store.update(update.chunk, [&](std::span<float> weights) {
            if (const auto* adam = std::get_if<AdamSettings>(&update.settings)) {
                adamw_update(*adam, update.gradient, update.mean, update.square, weights);
            } else {
                const auto& sgd = std::get<SgdSettings>(update.settings);
                sgd_update(sgd, update.gradient, update.mean, weights);
            }
        });
    }
};

}  // namespace

Device& cpu_device() {
    static CpuDevice device;
    return device;
}

}  // namespace starling::compute
