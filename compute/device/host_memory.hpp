#pragma once

// What the devices that compute in the host's own memory have in common.

#include <cstdint>
#include <memory>
#include <span>

#include "compute/device/device.hpp"
#include "compute/values/block.hpp"

namespace starling::compute {

/// Memory of the host, aligned to cache lines.
class HostMemory final : public DeviceMemory {
public:
    /// Errors    throws std::bad_alloc
    explicit HostMemory(std::size_t floats);

    [[nodiscard]] std::byte* bytes() { return block_.get(); }

private:
    Block block_;
};

/// Returns the floats of a range.
/// Requires  memory of a host device, or an empty range
[[nodiscard]] std::span<float> host_floats(DeviceSpan range);

/// One chunk's update. The spans are as long as the chunk.
struct ChunkUpdate {
    std::size_t chunk = 0;
    const UpdateSettings& settings;
    std::span<const float> gradient;
    std::span<float> mean;
    std::span<float> square;
    WeightCopies* copies = nullptr;
};

/// Nothing needs to be copied, and nothing to be waited for.
class HostDevice : public Device {
public:
    /// Threads that OpenMP starts inherit the floating-point mode, so the first call comes before
    /// the first parallel loop.
    [[nodiscard]] FlushDenormals enter() override;

    [[nodiscard]] bool on_host() const override { return true; }

    [[nodiscard]] Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) override;

    [[nodiscard]] Result<void> copy_in(std::span<const float> host, DeviceSpan device) override;
    [[nodiscard]] Result<void> copy_out(DeviceSpan device, std::span<float> host) override;

    [[nodiscard]] Result<void> synchronize() override { return {}; }

    /// Shares the chunks out among OpenMP threads.
    [[nodiscard]] Result<void> update(ParameterStore& store, const UpdateRequest& request) override;

protected:
    /// Applies the update to the store's chunk while it holds the chunk's lock. The OpenMP threads
    /// of the compute thread call this for several chunks at once.
    virtual void update_chunk(ParameterStore& store, const ChunkUpdate& update) = 0;
};

/// Returns the bytes of the machine's memory.
[[nodiscard]] std::uint64_t host_memory_bytes();

}  // namespace starling::compute
