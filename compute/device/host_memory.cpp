#include "compute/device/host_memory.hpp"

#include <algorithm>
#include <new>
#include <sys/sysinfo.h>

#include "base/check.hpp"

namespace starling::compute {

namespace {

/// Shrinks matrices in a pass of its own, because a chunk holds matrices and vectors.
void shrink_matrices(ParameterStore& store, float factor) {
    for (const auto& info : store.layout().parameters()) {
        if (info.buffer || info.shape.size() < 2) continue;
        store.update_tensor(info, [factor](std::span<float> piece, std::size_t) {
            for (auto& weight : piece) weight *= factor;
        });
    }
}

}  // namespace

HostMemory::HostMemory(std::size_t floats)
    : DeviceMemory(floats),
      block_(allocate_block(floats * sizeof(float))) {}

std::span<float> host_floats(DeviceSpan range) {
    if (range.empty()) return {};
    auto* memory = dynamic_cast<HostMemory*>(&range.memory());
    STARLING_CHECK(memory != nullptr);
    return {reinterpret_cast<float*>(memory->bytes()) + range.offset(), range.size()};
}

FlushDenormals HostDevice::enter() {
    return {};
}

Result<std::unique_ptr<DeviceMemory>> HostDevice::allocate(std::size_t floats) {
    try {
        return std::unique_ptr<DeviceMemory>(std::make_unique<HostMemory>(floats));
    } catch (const std::bad_alloc&) {
        return fail(FaultCode::Oversized, "the model does not fit in memory");
    }
}

Result<void> HostDevice::copy_in(std::span<const float> host, DeviceSpan device) {
    STARLING_CHECK(host.size() == device.size());
    std::copy(host.begin(), host.end(), host_floats(device).begin());
    return {};
}

Result<void> HostDevice::copy_out(DeviceSpan device, std::span<float> host) {
    STARLING_CHECK(host.size() == device.size());
    const auto floats = host_floats(device);
    std::copy(floats.begin(), floats.end(), host.begin());
    return {};
}

Result<void> HostDevice::update(ParameterStore& store, const UpdateRequest& request) {
    if (request.matrix_factor != 1.0F) shrink_matrices(store, request.matrix_factor);
    const auto& chunks = store.layout().chunks();
    const std::span<const float> gradient = host_floats(request.gradient);
    const auto mean = host_floats(request.mean);
    const auto square = host_floats(request.square);
    auto* copies = dynamic_cast<WeightCopies*>(request.copies);
    STARLING_CHECK((copies == nullptr) == (request.copies == nullptr));
    const auto apply = [&](std::size_t c) {
        const auto& chunk = chunks[c];
        if (chunk.buffer) return;
        ChunkUpdate update{
            c, request.settings, gradient.subspan(chunk.offset, chunk.elements), {}, {}, copies};
        update.mean = mean.subspan(chunk.offset, chunk.elements);
        if (!square.empty()) update.square = square.subspan(chunk.offset, chunk.elements);
        update_chunk(store, update);
    };
    if (request.threads == 1 || chunks.size() == 1) {
        for (std::size_t c = 0; c < chunks.size(); ++c) apply(c);
        return {};
    }
    // Dynamic: the last chunk is short, and another thread may hold a chunk's lock for a moment.
#pragma omp parallel for schedule(dynamic) num_threads(request.threads)
    for (std::size_t c = 0; c < chunks.size(); ++c) apply(c);
    return {};
}

std::uint64_t host_memory_bytes() {
    struct sysinfo known {};

    if (::sysinfo(&known) != 0) return 0;
    return static_cast<std::uint64_t>(known.totalram) * known.mem_unit;
}

}  // namespace starling::compute
