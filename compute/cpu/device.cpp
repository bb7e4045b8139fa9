// The CPU as a device: oneDNN's primitives and loops of ours.

#include "compute/device.hpp"

#include <algorithm>

#include "compute/cpu/isa.hpp"
#include "compute/cpu/parallel.hpp"
#include "compute/host_memory.hpp"

namespace starling::compute {

namespace {

STARLING_INLINE void add_scaled(
    bool fresh, float share, const float* x, float* sum, std::size_t count
) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) sum[i] = (fresh ? 0.0F : sum[i]) + share * x[i];
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
        bool fresh, float share, std::span<const float> gradient, std::span<float> sum, int threads
    ) override {
        cpu::parallel_ranges(threads, sum.size(), [&](std::size_t begin, std::size_t end) {
            const float* from = gradient.data() + begin;
            cpu::vectorized<add_scaled>(fresh, share, from, sum.data() + begin, end - begin);
        });
    }

    void update(ParameterStore& store, const ChunkUpdate& update) override {
        const auto offset = store.layout().chunks()[update.chunk].offset;
        store.update(update.chunk, [&](std::span<float> weights, std::uint64_t version) {
            for (std::size_t at = 0; at < weights.size(); at += kPieceElements) {
                const auto count = std::min(kPieceElements, weights.size() - at);
                update_piece(update, at, weights.subspan(at, count));
                if (update.copies == nullptr) continue;
                update.copies->write(offset + at, weights.subspan(at, count));
            }
            if (update.copies != nullptr) update.copies->wrote(update.chunk, version);
        });
    }

private:
    /// So many weights are still in the nearest cache when they are copied.
    static constexpr std::size_t kPieceElements = 2048;

    static void update_piece(const ChunkUpdate& update, std::size_t at, std::span<float> weights) {
        const auto count = weights.size();
        const auto gradient = update.gradient.subspan(at, count);
        const auto mean = update.mean.subspan(at, count);
        if (const auto* adam = std::get_if<AdamSettings>(&update.settings)) {
            adamw_update(*adam, gradient, mean, update.square.subspan(at, count), weights);
        } else {
            sgd_update(std::get<SgdSettings>(update.settings), gradient, mean, weights);
        }
    }
};

}  // namespace

Device& cpu_device() {
    static CpuDevice device;
    return device;
}

}  // namespace starling::compute
