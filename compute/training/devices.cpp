#include "compute/training/devices.hpp"

#include <string>

#include "compute/cpu/device.hpp"
#include "compute/reference/device.hpp"

namespace starling::compute {

Result<Device*> find_device(std::string_view name) {
    for (auto* device : {&cpu_device(), &reference_device()}) {
        if (device->name() == name) return device;
    }
    return fail(
        FaultCode::Usage, "'" + std::string(name) + "' is no device here; there are cpu, reference"
    );
}

}  // namespace starling::compute
