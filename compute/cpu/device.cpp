#include "compute/cpu/device.hpp"

#include <algorithm>
#include <cstdlib>
#include <omp.h>

#include "compute/cpu/library/blas.hpp"
#include "compute/cpu/library/onednn.hpp"
#include "compute/cpu/loops/update.hpp"
#include "compute/cpu/plan.hpp"
#include "compute/device/host_memory.hpp"

namespace starling::compute {

namespace {

class CpuDevice final : public HostDevice {
public:
    [[nodiscard]] std::string_view name() const override { return "cpu"; }

    [[nodiscard]] std::string describe() const override {
        const char* policy =
            std::getenv("OMP_WAIT_POLICY");  // NOLINT(concurrency-mt-unsafe) start-up
        return cpu::library_description() + ", OpenMP threads " +
               std::to_string(omp_get_max_threads()) + " waiting " +
               (policy == nullptr ? "by default" : policy) + ", " + cpu::blas_description();
    }

    [[nodiscard]] FlushDenormals enter() override {
        cpu::use_one_blas_thread();
        return HostDevice::enter();
    }

    [[nodiscard]] Result<std::unique_ptr<Plan>> compile(
        PlanRequest request, const ParameterLayout& layout
    ) override {
        return compile_cpu_plan(std::move(request), layout);
    }

    [[nodiscard]] double norm(std::span<const float> gradient, int threads) override {
        return cpu::gradient_norm(gradient, threads);
    }

    void accumulate(
        bool fresh, float share, std::span<const float> gradient, std::span<float> sum, int threads
    ) override {
        cpu::accumulate(fresh, share, gradient, sum, threads);
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
    /// Weights are copied in pieces of this size, right after their update: a piece is then still
    /// in the nearest cache.
    static constexpr std::size_t kPieceElements = 2048;

    static void update_piece(const ChunkUpdate& update, std::size_t at, std::span<float> weights) {
        const auto count = weights.size();
        const auto gradient = update.gradient.subspan(at, count);
        const auto mean = update.mean.subspan(at, count);
        if (const auto* adam = std::get_if<AdamSettings>(&update.settings)) {
            cpu::adamw_update(*adam, gradient, mean, update.square.subspan(at, count), weights);
        } else {
            cpu::sgd_update(std::get<SgdSettings>(update.settings), gradient, mean, weights);
        }
    }
};

}  // namespace

Device& cpu_device() {
    static CpuDevice device;
    return device;
}

}  // namespace starling::compute
