#include "compute/device/host_memory.hpp"

#include <algorithm>
#include <new>

#include "base/check.hpp"
#include "compute/values/block.hpp"

namespace starling::compute {

namespace {

class HostMemory final : public DeviceMemory {
public:
    /// Throws std::bad_alloc.
    explicit HostMemory(std::size_t floats)
        : size_(floats),
          block_(allocate_block(floats * sizeof(float))) {}

    std::span<float> floats() override { return {reinterpret_cast<float*>(block_.get()), size_}; }

private:
    std::size_t size_;
    Block block_;
};

}  // namespace

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

void HostDevice::copy_in(std::span<const float> host, std::span<float> device) {
    STARLING_CHECK(host.size() == device.size());
    std::copy(host.begin(), host.end(), device.begin());
}

void HostDevice::copy_out(std::span<const float> device, std::span<float> host) {
    copy_in(device, host);
}

}  // namespace starling::compute
