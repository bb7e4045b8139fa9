#include "compute/cpu/device.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <omp.h>
#include <string>
#include <string_view>

#include "base/simd.hpp"
#include "compute/cpu/library/blas.hpp"
#include "compute/cpu/library/onednn.hpp"
#include "compute/cpu/loops/update.hpp"
#include "compute/cpu/plan.hpp"
#include "compute/device/host_memory.hpp"

namespace starling::compute {

namespace {

/// Returns what the kernel calls the processor, for instance `AMD EPYC 9R14`.
std::string processor_name() {
    constexpr std::string_view kKey = "model name";
    std::string found = "CPU";
    std::FILE* file = std::fopen("/proc/cpuinfo", "re");
    if (file == nullptr) return found;
    std::array<char, 512> line{};
    while (std::fgets(line.data(), line.size(), file) != nullptr) {
        const std::string_view text(line.data());
        const auto colon = text.find(": ");
        if (!text.starts_with(kKey) || colon == std::string_view::npos) continue;
        found = text.substr(colon + 2);
        while (!found.empty() && (found.back() == '\n' || found.back() == ' ')) found.pop_back();
        break;
    }
    std::fclose(file);
    return found;
}

class CpuDevice final : public HostDevice {
public:
    [[nodiscard]] std::string_view name() const override { return "cpu"; }

    [[nodiscard]] DeviceInfo info() const override {
        DeviceInfo info;
        info.name = name();
        const auto* isa = used_isa() == Isa::Avx512 ? ", AVX-512"
                          : used_isa() == Isa::Avx2 ? ", AVX2"
                                                    : "";
        const auto threads = omp_get_num_procs();
        info.model = processor_name() + ", " + std::to_string(threads) +
                     (threads == 1 ? " thread" : " threads") + isa;
        info.memory_bytes = host_memory_bytes();
        info.precisions = {"f32"};
        // Below AVX-512 the library has no bf16 kernels.
        const auto library = cpu::library_description();
        if (library.find("avx512_core") != std::string::npos) {
            info.precisions.emplace_back("bf16");
        }
        info.libraries = library + ", OpenBLAS";
        info.state = "ready";
        info.ready = true;
        return info;
    }

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

    [[nodiscard]] Result<double> norm(DeviceSpan gradient, int threads) override {
        return cpu::gradient_norm(host_floats(gradient), threads);
    }

    [[nodiscard]] Result<void> accumulate(
        bool fresh, float share, DeviceSpan gradient, DeviceSpan sum, int threads
    ) override {
        cpu::accumulate(fresh, share, host_floats(gradient), host_floats(sum), threads);
        return {};
    }

protected:
    void update_chunk(ParameterStore& store, const ChunkUpdate& update) override {
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
